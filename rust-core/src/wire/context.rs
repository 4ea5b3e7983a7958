//! `traceparent`: trace id, parent span id and flags (W3C Trace Context Level 2).

use std::{fmt, str};

use super::{
    hex,
    id::{SpanId, TraceId},
};
use crate::error::{ErrorKind, ParseError};

/// How long a `traceparent` of version 00 is.
const TEXT: usize = 55;
const FRAME: &[u8; TEXT] = b"00-00000000000000000000000000000000-0000000000000000-00";

/// The two flags that Level 2 defines; all other bits are dropped in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// The caller may have recorded this trace.
    pub const SAMPLED: Self = Self(0b01);
    /// The right-most seven bytes of the trace id are random.
    pub const RANDOM: Self = Self(0b10);

    /// Keeps the bits that are defined.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b11)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Tells whether the caller may have recorded this trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Tells whether the right-most seven bytes of the trace id are random.
    #[must_use]
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// Returns these flags with the sampled bit as given.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        Self(self.0 & !Self::SAMPLED.0 | sampled as u8)
    }

    /// Returns these flags with the random bit as given.
    #[must_use]
    pub const fn with_random(self, random: bool) -> Self {
        Self(self.0 & !Self::RANDOM.0 | (random as u8) << 1)
    }
}

/// Where a record stands in its trace.
///
/// # Examples
///
/// ```
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let cx = tracebaton::TraceContext::parse(text)?;
/// assert!(cx.flags.is_sampled());
/// assert_eq!(cx.to_traceparent().as_deref(), Some(text));
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that comes before; a legacy id names none.
    pub span_id: Option<SpanId>,
    /// Whether the trace is sampled and its id random.
    pub flags: Flags,
}

impl TraceContext {
    /// Begins a trace with a new id, whose right-most seven bytes are random; no span yet.
    #[must_use]
    pub const fn root(trace_id: TraceId) -> Self {
        Self { trace_id, span_id: None, flags: Flags::RANDOM }
    }

    /// Reads a `traceparent` value.
    ///
    /// Version `00` has exactly four fields; a later version may carry more, which are ignored
    /// (Trace Context Level 2, "Versioning of traceparent").
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] that names the first byte breaking the format.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        Self::parse_bytes(value.as_bytes())
    }

    /// Reads a `traceparent` value from raw bytes.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] that names the first byte breaking the format.
    pub fn parse_bytes(value: &[u8]) -> Result<Self, ParseError> {
        // Nearly every text is of version 00, and right; whatever is not is looked at more closely.
        Self::parse_00(value).map_or_else(|| Self::parse_any(value), Ok)
    }

    /// Reads a text of version 00, if all is right.
    ///
    /// Where the ids go on in registers, a memory that is written in parts and read as a whole would
    /// cost as much as the rest.
    #[inline(always)]
    pub(crate) fn parse_00(text: &[u8]) -> Option<Self> {
        let [b'0', b'0', b'-', text @ ..] = text else { return None };
        if text.len() != TEXT - 3 {
            return None;
        }
        let (high, text) = text.split_first_chunk()?;
        let (low, text) = text.split_first_chunk()?;
        let [b'-', text @ ..] = text else { return None };
        let (span_id, text) = text.split_first_chunk()?;
        let [b'-', high_flags, low_flags] = text else { return None };
        let flags = hex::nibble(*high_flags)? << 4 | hex::nibble(*low_flags)?;
        Some(Self {
            trace_id: TraceId::from_halves(hex::decode(high)?, hex::decode(low)?)?,
            span_id: Some(SpanId::from_bytes(hex::decode(span_id)?)?),
            flags: Flags::from_bits(flags),
        })
    }

    fn parse_any(value: &[u8]) -> Result<Self, ParseError> {
        let Some((fields, rest)) = value.split_first_chunk::<TEXT>() else {
            return Err(ParseError::new(ErrorKind::BadLength, value.len()));
        };
        for at in [2, 35, 52] {
            if fields.get(at) != Some(&b'-') {
                return Err(ParseError::new(ErrorKind::BadByte, at));
            }
        }
        let field = |from: usize, to: usize| fields.get(from..to).unwrap_or_default();
        let [version] = hex::read::<1>(field(0, 2), 0)?;
        if version == 0xff {
            return Err(ParseError::new(ErrorKind::BadVersion, 0));
        }
        if version == 0 && !rest.is_empty() {
            return Err(ParseError::new(ErrorKind::BadLength, TEXT));
        }
        if rest.first().is_some_and(|&byte| byte != b'-') {
            return Err(ParseError::new(ErrorKind::BadByte, TEXT));
        }
        let trace_id = TraceId::from_bytes(hex::read(field(3, 35), 3)?);
        let span_id = SpanId::from_bytes(hex::read(field(36, 52), 36)?);
        let [flags] = hex::read::<1>(field(53, 55), 53)?;
        Ok(Self {
            trace_id: trace_id.ok_or(ParseError::new(ErrorKind::ZeroId, 3))?,
            span_id: Some(span_id.ok_or(ParseError::new(ErrorKind::ZeroId, 36))?),
            flags: Flags::from_bits(flags),
        })
    }

    /// Writes the `traceparent` value, always as version `00`; nothing while there is no span id.
    #[must_use]
    pub fn to_traceparent(self) -> Option<String> {
        let text = self.traceparent()?;
        str::from_utf8(&text).ok().map(str::to_owned)
    }

    /// Returns the bytes of the `traceparent` value, as [`TraceContext::to_traceparent`] does.
    #[must_use]
    #[inline]
    pub fn traceparent(self) -> Option<[u8; TEXT]> {
        let mut text = *FRAME;
        self.write(self.span_id?, &mut text);
        Some(text)
    }

    /// Writes the ids and the flags into the frame.
    #[inline]
    fn write(self, span_id: SpanId, text: &mut [u8; TEXT]) {
        let [_, _, _, ids @ .., _, _, _] = text;
        if let Some((trace_id, [_, rest @ ..])) = ids.split_first_chunk_mut()
            && let Some(span) = rest.first_chunk_mut()
        {
            *trace_id = self.trace_id.to_hex();
            *span = span_id.to_hex();
        }
        let [.., flags] = text;
        *flags += self.flags.bits();
    }

    /// Returns the `traceparent` value in this memory; nothing while there is no span id.
    #[cfg(feature = "otel")]
    #[inline]
    pub(crate) fn traceparent_in(self, memory: String) -> Option<String> {
        let span_id = self.span_id?;
        let mut text = memory.into_bytes();
        text.resize(TEXT, 0);
        let place = text.first_chunk_mut()?;
        *place = *FRAME;
        self.write(span_id, place);
        // SAFETY: all of the text was written just now: the frame and hexadecimal digits, which are
        // ASCII.
        #[expect(unsafe_code, reason = "to look at what was just written waits for the memory")]
        Some(unsafe { String::from_utf8_unchecked(text) })
    }
}

impl str::FromStr for TraceContext {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_traceparent() {
            Some(text) => f.write_str(&text),
            None => fmt::Display::fmt(&self.trace_id, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_takes_what_the_long_one_takes() {
        let text = *b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
        for at in 0..TEXT {
            for byte in 0..=u8::MAX {
                let mut text = text;
                text[at] = byte;
                let parsed = TraceContext::parse_bytes(&text);
                assert_eq!(parsed, TraceContext::parse_any(&text), "{byte:#x} at {at}");
            }
        }
        for end in 0..TEXT {
            assert!(TraceContext::parse_bytes(&text[..end]).is_err(), "{end}");
        }
        assert_eq!(TraceContext::parse_bytes(&text).unwrap().traceparent(), Some(text));
    }

    #[cfg(feature = "otel")]
    #[test]
    fn any_memory_will_do() {
        for flags in 0..=3 {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{flags}");
            let context = TraceContext::parse(&text).unwrap();
            for memory in ["", "short", &text, &"long ".repeat(20)] {
                assert_eq!(context.traceparent_in(memory.to_owned()).unwrap(), text);
                assert_eq!(context.trace_id.hex_in(memory.to_owned()), text[3..35]);
            }
        }
    }
}
