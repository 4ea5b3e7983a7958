//! Lower-case hexadecimal, read strictly and written without allocation.

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(not(target_arch = "x86_64"))]
use portable as fast;
#[cfg(target_arch = "x86_64")]
use sse2 as fast;

use crate::error::{ErrorKind, ParseError};

pub(super) const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Reads exactly `2 * N` lower-case hexadecimal digits that start at byte `at` of a longer text.
pub(crate) fn read<const N: usize>(text: &[u8], at: usize) -> Result<[u8; N], ParseError> {
    if text.len() != 2 * N {
        return Err(ParseError::new(ErrorKind::BadLength, at + text.len().min(2 * N)));
    }
    let mut out = [0; N];
    for (index, (byte, pair)) in out.iter_mut().zip(text.as_chunks::<2>().0).enumerate() {
        let &[high, low] = pair;
        let Some(high) = nibble(high) else {
            return Err(ParseError::new(ErrorKind::BadByte, at + 2 * index));
        };
        let Some(low) = nibble(low) else {
            return Err(ParseError::new(ErrorKind::BadByte, at + 2 * index + 1));
        };
        *byte = high << 4 | low;
    }
    Ok(out)
}

/// Reads 16 lower-case digits, and nothing else.
#[inline]
pub(super) fn decode(digits: &[u8; 16]) -> Option<[u8; 8]> {
    fast::decode(digits)
}

/// Writes 16 lower-case digits.
#[inline]
pub(super) fn encode(bytes: &[u8; 8]) -> [u8; 16] {
    fast::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_alike_at_every_place_and_in_every_way() {
        for at in 0..16 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"0123456789abcdef";
                digits[at] = byte;
                let strict = read(&digits, 0).ok();
                assert_eq!(fast::decode(&digits), strict, "{byte:#x} at {at}");
                assert_eq!(portable::decode(&digits), strict, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn every_byte_is_written_alike_at_every_place_and_in_every_way() {
        for at in 0..8 {
            for byte in 0..=u8::MAX {
                let mut bytes = *b"\x01\x23\x45\x67\x89\xab\xcd\xef";
                bytes[at] = byte;
                let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(fast::encode(&bytes), text.as_bytes());
                assert_eq!(portable::encode(&bytes), text.as_bytes());
            }
        }
    }
}
