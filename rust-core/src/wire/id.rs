//! Trace ids and span ids: never zero, new ones as UUIDv7 with 74 fresh random bits.

use std::{
    fmt, str,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    hex,
    random::{quick_u64, random_u64},
};
use crate::error::{ErrorKind, ParseError};

/// The 16 bytes that name a trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// The 8 bytes that name a span; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// Takes 16 bytes, unless all are zero.
    #[must_use]
    #[inline]
    pub const fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        if u128::from_be_bytes(bytes) == 0 { None } else { Some(Self(bytes)) }
    }

    /// Takes both halves, unless all is zero.
    #[inline]
    pub(super) fn from_halves(high: [u8; 8], low: [u8; 8]) -> Option<Self> {
        let bytes =
            u128::from(u64::from_le_bytes(low)) << 64 | u128::from(u64::from_le_bytes(high));
        (bytes != 0).then(|| Self(bytes.to_le_bytes()))
    }

    /// Returns the 16 bytes in text order.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Reads 32 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] for any other text, and for all zeros.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_bytes(hex::read(text.as_bytes(), 0)?)
            .ok_or(ParseError::new(ErrorKind::ZeroId, 0))
    }

    /// Returns the 32 lower-case hexadecimal digits.
    #[must_use]
    #[inline]
    pub fn to_hex(self) -> [u8; 32] {
        let mut out = [0; 32];
        let halves = out.as_chunks_mut::<16>().0.iter_mut();
        for (digits, half) in halves.zip(self.0.as_chunks::<8>().0) {
            *digits = hex::encode(half);
        }
        out
    }

    /// Returns the 32 lower-case hexadecimal digits in this memory.
    #[cfg(feature = "otel")]
    #[inline]
    pub(crate) fn hex_in(self, memory: String) -> String {
        let mut text = memory.into_bytes();
        text.clear();
        text.extend_from_slice(&self.to_hex());
        // SAFETY: hexadecimal digits are ASCII, and there is nothing else.
        #[expect(unsafe_code, reason = "to look at what was just written waits for the memory")]
        unsafe {
            String::from_utf8_unchecked(text)
        }
    }

    /// Makes a new UUIDv7 (RFC 9562, section 5.7) for this moment.
    ///
    /// All 74 bits that the layout leaves free are random, so the right-most 56 are too and the
    /// W3C random flag may be set (Trace Context Level 2, "Random Trace ID Flag").
    #[must_use]
    pub fn generate() -> Self {
        Self::generate_at(SystemTime::now())
    }

    /// Makes a new UUIDv7 for the given moment.
    #[must_use]
    pub fn generate_at(time: SystemTime) -> Self {
        Self::from_parts(time, u128::from(random_u64()) << 64 | u128::from(random_u64()))
    }

    /// Makes a UUIDv7 of a moment and of random bits, 74 of which are used.
    #[must_use]
    pub fn from_parts(time: SystemTime, random: u128) -> Self {
        let ms = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let value = (ms & 0xffff_ffff_ffff) << 80
            | 0x7 << 76
            | (random >> 64 & 0xfff) << 64
            | 0b10 << 62
            | random & 0x3fff_ffff_ffff_ffff;
        Self(value.to_be_bytes())
    }

    /// Returns the moment a UUIDv7 was made, to the millisecond; nothing for any other id.
    #[must_use]
    pub fn created_at(self) -> Option<SystemTime> {
        let value = u128::from_be_bytes(self.0);
        let is_v7 = value >> 76 & 0xf == 7 && value >> 62 & 0b11 == 0b10;
        let ms = u64::try_from(value >> 80).ok()?;
        is_v7.then(|| UNIX_EPOCH + Duration::from_millis(ms))
    }
}

impl SpanId {
    /// Takes 8 bytes, unless all are zero.
    #[must_use]
    #[inline]
    pub const fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        if u64::from_be_bytes(bytes) == 0 { None } else { Some(Self(bytes)) }
    }

    /// Returns the 8 bytes in text order.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// Reads 16 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] for any other text, and for all zeros.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::from_bytes(hex::read(text.as_bytes(), 0)?)
            .ok_or(ParseError::new(ErrorKind::ZeroId, 0))
    }

    /// Returns the 16 lower-case hexadecimal digits.
    #[must_use]
    #[inline]
    pub fn to_hex(self) -> [u8; 16] {
        hex::encode(&self.0)
    }

    /// Makes a new random span id.
    #[must_use]
    pub fn generate() -> Self {
        Self(quick_u64().max(1).to_be_bytes())
    }
}

macro_rules! text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(str::from_utf8(&self.to_hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }

        impl str::FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                Self::parse(text)
            }
        }
    };
}

text!(TraceId);
text!(SpanId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_tell_when_they_were_made() {
        let time = UNIX_EPOCH + Duration::from_millis(1_767_225_600_123);
        assert_eq!(TraceId::generate_at(time).created_at(), Some(time));
    }

    #[test]
    fn opaque_ids_tell_no_time() {
        let id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(id.created_at(), None);
    }

    #[test]
    fn neighbours_share_no_random_bits() {
        let time = SystemTime::now();
        let mut low = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let value = u128::from_be_bytes(TraceId::generate_at(time).to_bytes());
            assert!(low.insert(value & 0xff_ffff_ffff_ffff));
        }
    }
}
