//! Google Cloud's `X-Cloud-Trace-Context` (Cloud Trace documentation, "Legacy trace context").

use super::{
    context::{Flags, TraceContext},
    hex,
    id::{SpanId, TraceId},
    sighting::Sighting,
    text,
};
use crate::error::{ErrorKind, ParseError};

/// Reads `{32 digits}[/{decimal span}[;o={0|1}]]`.
///
/// # Errors
///
/// Returns a [`ParseError`] for anything else.
pub fn read(value: &[u8]) -> Result<Sighting, ParseError> {
    let (trace, rest) =
        value.split_at_checked(32).ok_or(ParseError::new(ErrorKind::BadLength, value.len()))?;
    let trace_id = TraceId::from_bytes(hex::read(&trace.to_ascii_lowercase(), 0)?);
    let trace_id = trace_id.ok_or(ParseError::new(ErrorKind::ZeroId, 0))?;
    let semicolon = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
    let (span, options) = rest.split_at_checked(semicolon).unwrap_or_default();
    let span_id = match span {
        [] => None,
        [b'/', digits @ ..] => SpanId::from_bytes(text::decimal(digits, 33)?.to_be_bytes()),
        _ => return Err(ParseError::new(ErrorKind::BadByte, 32)),
    };
    let sampled = match options {
        [] => None,
        b";o=1" => Some(true),
        b";o=0" => Some(false),
        _ => return Err(ParseError::new(ErrorKind::BadByte, 32 + semicolon)),
    };
    let context = TraceContext { trace_id, span_id, flags: Flags::default() };
    Ok(Sighting::new(context, sampled, false))
}

/// Writes the header; nothing while there is no span id.
#[must_use]
pub fn write(context: TraceContext, is_deferred: bool) -> Option<String> {
    let span = u64::from_be_bytes(context.span_id?.to_bytes());
    let option = match (is_deferred, context.flags.is_sampled()) {
        (true, _) => "",
        (_, true) => ";o=1",
        (_, false) => ";o=0",
    };
    Some(format!("{}/{span}{option}", context.trace_id))
}
