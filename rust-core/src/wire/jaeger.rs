//! Jaeger's `uber-trace-id` (Jaeger documentation, "Propagation Format").

use std::borrow::Cow;

use super::{
    context::{Flags, TraceContext},
    id::{SpanId, TraceId},
    sighting::Sighting,
    text,
};
use crate::error::{ErrorKind, ParseError};

/// More than the longest value there can be: four ids and flags, each character percent-encoded.
const MAX_BYTES: usize = 256;

/// Reads `{trace}:{span}:{parent}:{flags}`; the colons may be percent-encoded, leading zeros of ids
/// may be left out.
///
/// # Errors
///
/// Returns a [`ParseError`] for anything else.
pub fn read(value: &[u8]) -> Result<Sighting, ParseError> {
    if value.len() > MAX_BYTES {
        return Err(ParseError::new(ErrorKind::BadLength, MAX_BYTES));
    }
    let decoded = match value.contains(&b'%') {
        true => text::percent_decode(value)
            .map(Cow::Owned)
            .ok_or(ParseError::new(ErrorKind::BadByte, 0))?,
        false => Cow::Borrowed(value),
    };
    let mut fields = decoded.split(|byte| *byte == b':');
    let mut next = || fields.next();
    let (Some(trace), Some(span), Some(_), Some(flags), None) =
        (next(), next(), next(), next(), next())
    else {
        return Err(ParseError::new(ErrorKind::BadLength, decoded.len()));
    };
    let trace_id = TraceId::from_bytes(text::short_hex(trace, 32, 0)?.to_be_bytes());
    let at = trace.len() + 1;
    let span_id = u64::try_from(text::short_hex(span, 16, at)?).unwrap_or_default();
    let span_id = SpanId::from_bytes(span_id.to_be_bytes());
    let flags = text::short_hex(flags, 2, decoded.len() - flags.len())?;
    let context = TraceContext {
        trace_id: trace_id.ok_or(ParseError::new(ErrorKind::ZeroId, 0))?,
        span_id: Some(span_id.ok_or(ParseError::new(ErrorKind::ZeroId, at))?),
        flags: Flags::default(),
    };
    // Debug counts only with sampled.
    Ok(Sighting::new(context, Some(flags & 1 == 1), flags & 3 == 3))
}

/// Writes the header; nothing while there is no span id. The parent is deprecated and always 0.
#[must_use]
pub fn write(context: TraceContext, is_debug: bool) -> Option<String> {
    let flags = if is_debug { 3 } else { u8::from(context.flags.is_sampled()) };
    context.span_id.map(|span_id| format!("{}:{span_id}:0:{flags}", context.trace_id))
}

/// Reads the value of a `uberctx-*` header.
#[must_use]
pub fn read_baggage(value: &[u8]) -> Option<String> {
    String::from_utf8(text::percent_decode(value)?).ok()
}

/// Writes the value of a `uberctx-*` header.
#[must_use]
pub fn write_baggage(value: &str) -> String {
    let mut text = String::new();
    text::percent_encode(value, &mut text);
    text
}
