//! Datadog's `x-datadog-*` headers (Datadog documentation, "Trace Context Propagation").

use super::{
    context::{Flags, TraceContext},
    hex,
    id::{SpanId, TraceId},
    sighting::Sighting,
    text, trim,
};
use crate::error::{ErrorKind, ParseError};

/// Reads the values of `x-datadog-trace-id` (the lower 64 bits, decimal), `x-datadog-parent-id`
/// (decimal), `x-datadog-tags` (the upper 64 bits are its `_dd.p.tid`) and
/// `x-datadog-sampling-priority`.
///
/// # Errors
///
/// Returns a [`ParseError`] where an id or the priority is not a number, or the trace id is zero. A
/// malformed `_dd.p.tid` is left out.
pub fn read(
    trace: &[u8],
    parent: Option<&[u8]>,
    tags: Option<&[u8]>,
    priority: Option<&[u8]>,
) -> Result<Sighting, ParseError> {
    let low = text::decimal(trace, 0)?;
    if low == 0 {
        return Err(ParseError::new(ErrorKind::ZeroId, 0));
    }
    let high = tags.and_then(upper_half).unwrap_or(0);
    let trace_id = TraceId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes());
    let span_id = parent.map(|value| text::decimal(value, 0)).transpose()?;
    let sampled = priority.map(read_priority).transpose()?;
    let context = TraceContext {
        trace_id: trace_id.ok_or(ParseError::new(ErrorKind::ZeroId, 0))?,
        span_id: span_id.and_then(|span_id| SpanId::from_bytes(span_id.to_be_bytes())),
        flags: Flags::default(),
    };
    Ok(Sighting::new(context, sampled, false))
}

/// The headers that [`write`] fills.
pub struct Headers {
    /// `x-datadog-trace-id`.
    pub trace_id: String,
    /// `x-datadog-parent-id`.
    pub parent_id: String,
    /// `x-datadog-tags`, unless the upper 64 bits are zero.
    pub tags: Option<String>,
    /// `x-datadog-sampling-priority`, unless nobody has decided yet.
    pub priority: Option<&'static str>,
}

/// Writes the headers; nothing while there is no span id, nor where the lower 64 bits are zero, for
/// then the trace has no name here.
#[must_use]
pub fn write(context: TraceContext, is_deferred: bool) -> Option<Headers> {
    let trace_id = u128::from_be_bytes(context.trace_id.to_bytes());
    if trace_id as u64 == 0 {
        return None;
    }
    let span_id = u64::from_be_bytes(context.span_id?.to_bytes());
    let high = trace_id >> 64;
    let priority = if context.flags.is_sampled() { "1" } else { "0" };
    Some(Headers {
        trace_id: (trace_id & u128::from(u64::MAX)).to_string(),
        parent_id: span_id.to_string(),
        tags: (high != 0).then(|| format!("_dd.p.tid={high:016x}")),
        priority: (!is_deferred).then_some(priority),
    })
}

fn upper_half(tags: &[u8]) -> Option<u64> {
    let tag = |tag| trim(tag).strip_prefix(b"_dd.p.tid=");
    let value = tags.split(|byte| *byte == b',').find_map(tag)?;
    hex::read(value, 0).ok().map(u64::from_be_bytes)
}

fn read_priority(value: &[u8]) -> Result<bool, ParseError> {
    match value {
        [b'-', digits @ ..] => text::decimal(digits, 1).map(|_| false),
        digits => text::decimal(digits, 0).map(|priority| priority > 0),
    }
}
