//! Lower-case hexadecimal, read strictly and written without allocation.

use crate::error::{ErrorKind, ParseError};

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

const fn nibble(byte: u8) -> Option<u8> {
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
    for (index, (byte, pair)) in out.iter_mut().zip(text.chunks_exact(2)).enumerate() {
        let &[high, low] = pair else { continue };
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

/// Writes `bytes` as lower-case digits into `out`, which is twice as long.
pub(crate) fn write(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
}
