//! Sixteen digits at a time in one register, which every x86-64 has: half as many instructions as
//! the portable way.

#![allow(unsafe_code, reason = "the instructions are measured to be worth it")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cvtsi64_si128,
    _mm_cvtsi128_si64, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
    _mm_packus_epi16, _mm_set1_epi8, _mm_set1_epi16, _mm_slli_epi16, _mm_srli_epi16,
    _mm_storeu_si128, _mm_sub_epi8, _mm_unpacklo_epi8,
};

/// What a letter's code is above that of the digit that would come after `9`.
const GAP: i8 = 39;

/// Reads 16 lower-case digits, and nothing else.
#[inline]
pub(super) fn decode(digits: &[u8; 16]) -> Option<[u8; 8]> {
    // SAFETY: SSE2 is part of x86-64, and the 16 bytes that are loaded are those of `digits`; a load
    // of this kind asks for no alignment.
    unsafe {
        let text = _mm_loadu_si128(digits.as_ptr().cast::<__m128i>());
        let from_0 = _mm_sub_epi8(text, _mm_set1_epi8(0x30));
        let from_a = _mm_sub_epi8(text, _mm_set1_epi8(0x61));
        let is_digit = _mm_cmpeq_epi8(_mm_min_epu8(from_0, _mm_set1_epi8(9)), from_0);
        let is_letter = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8(5)), from_a);
        if _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xffff {
            return None;
        }
        let values = _mm_sub_epi8(from_0, _mm_and_si128(is_letter, _mm_set1_epi8(GAP)));
        // The first digit of a pair is the lower byte.
        let pairs = _mm_or_si128(_mm_slli_epi16(values, 4), _mm_srli_epi16(values, 8));
        let bytes = _mm_and_si128(pairs, _mm_set1_epi16(0xff));
        Some(_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)).to_le_bytes())
    }
}

/// Writes 16 lower-case digits.
#[inline]
pub(super) fn encode(bytes: &[u8; 8]) -> [u8; 16] {
    let mut digits = [0; 16];
    // SAFETY: SSE2 is part of x86-64, and the 16 bytes that are stored are those of `digits`; a store
    // of this kind asks for no alignment.
    unsafe {
        let low_half = _mm_set1_epi8(0x0f);
        let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(*bytes));
        let high = _mm_and_si128(_mm_srli_epi16(bytes, 4), low_half);
        let values = _mm_unpacklo_epi8(high, _mm_and_si128(bytes, low_half));
        let is_letter = _mm_cmpgt_epi8(values, _mm_set1_epi8(9));
        let gap = _mm_and_si128(is_letter, _mm_set1_epi8(GAP));
        let text = _mm_add_epi8(_mm_add_epi8(values, _mm_set1_epi8(0x30)), gap);
        _mm_storeu_si128(digits.as_mut_ptr().cast::<__m128i>(), text);
    }
    digits
}
