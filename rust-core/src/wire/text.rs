//! Small readers that several formats share: white space, numbers, percent-encoding.

use std::str;

use super::hex;
use crate::error::{ErrorKind, ParseError};

/// Removes spaces and tabs around a field's value (RFC 9110, section 5.6.3).
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Returns bytes as text, if they are UTF-8: mostly they are ASCII.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    ascii(bytes).or_else(|| str::from_utf8(bytes).ok())
}

/// Returns bytes as text, if they are ASCII.
#[inline]
pub(crate) fn ascii(bytes: &[u8]) -> Option<&str> {
    if !is_ascii(bytes) {
        return None;
    }
    // SAFETY: ASCII is UTF-8.
    #[expect(unsafe_code, reason = "a third of the instructions of looking again")]
    Some(unsafe { str::from_utf8_unchecked(bytes) })
}

/// Tells whether all bytes are ASCII: what the standard library does is made for long texts.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u128 = u128::MAX / 0xff * 0x80;
    // The last sixteen may overlap those before them.
    match bytes.last_chunk() {
        Some(last) if bytes.len() <= 128 => {
            let (chunks, _) = bytes.as_chunks();
            let last = u128::from_ne_bytes(*last);
            chunks.iter().fold(last, |all, chunk| all | u128::from_ne_bytes(*chunk)) & HIGH == 0
        }
        _ => bytes.is_ascii(),
    }
}

/// Reads one to `most` lower-case hexadecimal digits as a number.
pub(super) fn short_hex(text: &[u8], most: usize, at: usize) -> Result<u128, ParseError> {
    if text.is_empty() || text.len() > most.min(32) {
        return Err(ParseError::new(ErrorKind::BadLength, at));
    }
    let mut padded = [b'0'; 32];
    for (place, digit) in padded.iter_mut().rev().zip(text.iter().rev()) {
        *place = *digit;
    }
    hex::read(&padded, 0).map(u128::from_be_bytes).map_err(|error| {
        ParseError::new(error.kind(), (at + error.at() + text.len()).saturating_sub(32))
    })
}

/// Reads decimal digits, and nothing but digits, as a number of 64 bits.
pub(super) fn decimal(text: &[u8], at: usize) -> Result<u64, ParseError> {
    if text.is_empty() || text.len() > 20 {
        return Err(ParseError::new(ErrorKind::BadLength, at));
    }
    text.iter().enumerate().try_fold(0u64, |value, (index, byte)| {
        let wrong = ParseError::new(ErrorKind::BadByte, at + index);
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0')).ok_or(wrong)?;
        value.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or(wrong)
    })
}

/// Decodes percent-encoding; a `%` without two hexadecimal digits is an error.
pub(crate) fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'%', high, low, after @ ..] => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                after
            }
            [b'%', ..] => return None,
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

/// Writes a text percent-encoded: only what is a `baggage-octet` and no `%` stays as it is.
pub(super) fn percent_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if is_octet(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
            out.push('%');
            out.push(digit(byte >> 4).to_ascii_uppercase());
            out.push(digit(byte & 15).to_ascii_uppercase());
        }
    }
}

/// Returns how long a text is when it is percent-encoded.
pub(super) fn encoded_len(value: &str) -> usize {
    value.bytes().map(|byte| if is_octet(&byte) && byte != b'%' { 1 } else { 3 }).sum()
}

/// `baggage-octet`: visible US-ASCII without `"`, `,`, `;` and `\`.
pub(super) fn is_octet(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        for length in 0..200 {
            let mut bytes = vec![b'a'; length];
            assert!(ascii(&bytes).is_some_and(|text| text.len() == length));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(ascii(&bytes).is_none() && text(&bytes).is_none(), "{at} of {length}");
                bytes[at] = 0x7f;
            }
        }
        assert_eq!(text("gr\u{fc}\u{df}e".as_bytes()), Some("gr\u{fc}\u{df}e"));
    }
}
