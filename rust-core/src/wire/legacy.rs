//! The legacy id of `X-Trace-Id` and Kafka's `trace_id`: any short text, mapped to 128 bits.

use std::{fmt, str, sync::Arc};

use sha2::{Digest, Sha256};

use super::{hex, id::TraceId, trim};
use crate::error::{ErrorKind, ParseError};

const MAX_BYTES: usize = 128;

/// The rule by which a legacy text names its trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegacyKind {
    /// 32 hexadecimal digits.
    Hex128,
    /// A UUID of five groups.
    Uuid,
    /// 16 hexadecimal digits, padded with zeros on the left.
    Hex64,
    /// A ULID.
    Ulid,
    /// Any other text: hashed.
    Opaque,
}

/// A legacy id: the text as it came, and the trace id it stands for in every language.
///
/// # Examples
///
/// ```
/// use tracebaton::wire::LegacyId;
///
/// let id = LegacyId::parse("order-1234")?.expect("it names a trace");
/// assert_eq!(id.text(), "order-1234");
/// assert_eq!(id.trace_id().to_string(), "36e0ffa14b27b2d7eaf4d5a09cb36a2c");
/// assert_eq!(LegacyId::parse("none")?, None);
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LegacyId {
    text: Arc<str>,
    trace_id: TraceId,
    kind: LegacyKind,
}

impl LegacyId {
    /// Reads a legacy id, without the white space around it.
    ///
    /// Old writers send `none`, `null`, `undefined` and `-` where they have no id: that is absent.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] where the text is not `^[A-Za-z0-9._~:+/=@|-]{1,128}$`, or stands for
    /// all zeros.
    pub fn parse(text: &str) -> Result<Option<Self>, ParseError> {
        Self::parse_bytes(text.as_bytes())
    }

    /// Reads a legacy id from raw bytes.
    ///
    /// # Errors
    ///
    /// As [`LegacyId::parse`].
    pub fn parse_bytes(value: &[u8]) -> Result<Option<Self>, ParseError> {
        let value = trim(value);
        if value.is_empty() || value.len() > MAX_BYTES {
            return Err(ParseError::new(ErrorKind::BadLength, value.len().min(MAX_BYTES)));
        }
        let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~:+/=@|-".contains(byte);
        if let Some(at) = value.iter().position(|byte| !is_allowed(byte)) {
            return Err(ParseError::new(ErrorKind::BadByte, at));
        }
        let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
        if is("none") || is("null") || is("undefined") || is("-") {
            return Ok(None);
        }
        let (bytes, kind) = map(value);
        let trace_id = TraceId::from_bytes(bytes).ok_or(ParseError::new(ErrorKind::ZeroId, 0))?;
        let text = str::from_utf8(value).map_err(|_| ParseError::new(ErrorKind::NotText, 0))?;
        Ok(Some(Self { text: text.into(), trace_id, kind }))
    }

    /// Returns the text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the trace id it stands for.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Returns the rule by which it does.
    #[must_use]
    pub fn kind(&self) -> LegacyKind {
        self.kind
    }

    /// Tells whether the text is just how the trace id is written.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.text.as_bytes() == self.trace_id.to_hex()
    }
}

impl fmt::Display for LegacyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn map(value: &[u8]) -> ([u8; 16], LegacyKind) {
    let lower = value.to_ascii_lowercase();
    if let Ok(bytes) = hex::read::<16>(&lower, 0) {
        return (bytes, LegacyKind::Hex128);
    }
    if let Some(bytes) = uuid(&lower) {
        return (bytes, LegacyKind::Uuid);
    }
    if let Ok(half) = hex::read::<8>(&lower, 0) {
        let bytes = u128::from(u64::from_be_bytes(half)).to_be_bytes();
        return (bytes, LegacyKind::Hex64);
    }
    if let Some(bytes) = ulid(&lower) {
        return (bytes, LegacyKind::Ulid);
    }
    let hash = Sha256::new().chain_update(b"tracebaton/x-trace-id/v1\0").chain_update(value);
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    (bytes, LegacyKind::Opaque)
}

/// Reads the five groups of a UUID in text order.
fn uuid(lower: &[u8]) -> Option<[u8; 16]> {
    let is_dashed = [8, 13, 18, 23].iter().all(|at| lower.get(*at) == Some(&b'-'));
    if lower.len() != 36 || !is_dashed {
        return None;
    }
    let digits: Vec<u8> = lower.iter().copied().filter(|byte| *byte != b'-').collect();
    hex::read(&digits, 0).ok()
}

/// Reads 26 characters of Crockford's alphabet, the first of which fills three bits only.
fn ulid(lower: &[u8]) -> Option<[u8; 16]> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    if lower.len() != 26 || !matches!(lower.first(), Some(b'0'..=b'7')) {
        return None;
    }
    let digit = |byte: &u8| ALPHABET.iter().position(|known| known == byte);
    let value = lower.iter().try_fold(0u128, |value, byte| Some(value << 5 | digit(byte)? as u128));
    value.map(u128::to_be_bytes)
}
