//! B3, as one header or as several (openzipkin/b3-propagation).

use super::{
    context::{Flags, TraceContext},
    hex,
    id::{SpanId, TraceId},
    sighting::Sighting,
};
use crate::error::{ErrorKind, ParseError};

/// Reads the value of the single header: `{trace}-{span}[-{state}[-{parent}]]`.
///
/// # Errors
///
/// Returns a [`ParseError`] for anything else; a value that is only a sampling state names no trace
/// either.
pub fn read_single(value: &[u8]) -> Result<Sighting, ParseError> {
    let mut fields = value.split(|byte| *byte == b'-');
    let (trace, span) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let (state, parent, rest) = (fields.next(), fields.next(), fields.next());
    let at = trace.len() + span.len() + 2;
    let (sampled, is_debug) = match state {
        None => (None, false),
        Some(b"d") => (None, true),
        Some(state) => (Some(read_sampled(state, at)?), false),
    };
    if let Some(parent) = parent {
        hex::read::<8>(parent, at + 2)?;
    }
    if rest.is_some() {
        return Err(ParseError::new(ErrorKind::BadLength, value.len()));
    }
    Ok(Sighting::new(read_ids(trace, span)?, sampled, is_debug))
}

/// Reads the values of `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` and `X-B3-Flags`.
///
/// # Errors
///
/// Returns a [`ParseError`] where an id or the sampling state is not one.
pub fn read_multi(
    trace: &[u8],
    span: &[u8],
    sampled: Option<&[u8]>,
    flags: Option<&[u8]>,
) -> Result<Sighting, ParseError> {
    // Only `1` means debug; no other value has a meaning.
    let is_debug = flags == Some(b"1");
    let sampled = sampled.map(|value| read_sampled(value, 0)).transpose()?;
    Ok(Sighting::new(read_ids(trace, span)?, sampled, is_debug))
}

/// The headers that [`write_multi`] fills.
pub struct Headers {
    /// `X-B3-TraceId`.
    pub trace_id: String,
    /// `X-B3-SpanId`.
    pub span_id: String,
    /// `X-B3-Sampled`, unless nobody has decided yet or debug implies it.
    pub sampled: Option<&'static str>,
    /// `X-B3-Flags`, where the trace is debugged.
    pub flags: Option<&'static str>,
}

/// Writes the separate headers; nothing while there is no span id.
#[must_use]
pub fn write_multi(context: TraceContext, is_debug: bool, is_deferred: bool) -> Option<Headers> {
    let sampled = if context.flags.is_sampled() { "1" } else { "0" };
    Some(Headers {
        trace_id: context.trace_id.to_string(),
        span_id: context.span_id?.to_string(),
        // Debug goes alone: it implies the decision (B3, "Debug Flag").
        sampled: (!is_debug && !is_deferred).then_some(sampled),
        flags: is_debug.then_some("1"),
    })
}

/// Writes the single header; nothing while there is no span id.
#[must_use]
pub fn write_single(context: TraceContext, is_debug: bool, is_deferred: bool) -> Option<String> {
    let span_id = context.span_id?;
    let state = match (is_debug, is_deferred, context.flags.is_sampled()) {
        (true, ..) => "-d",
        (_, true, _) => "",
        (.., true) => "-1",
        (.., false) => "-0",
    };
    Some(format!("{}-{span_id}{state}", context.trace_id))
}

fn read_sampled(value: &[u8], at: usize) -> Result<bool, ParseError> {
    match value {
        // Old tracers send booleans.
        b"1" | b"true" => Ok(true),
        b"0" | b"false" => Ok(false),
        _ => Err(ParseError::new(ErrorKind::BadByte, at)),
    }
}

fn read_ids(trace: &[u8], span: &[u8]) -> Result<TraceContext, ParseError> {
    let trace_id = match trace.len() {
        16 => u128::from(u64::from_be_bytes(hex::read(trace, 0)?)).to_be_bytes(),
        _ => hex::read(trace, 0)?,
    };
    let at = trace.len() + 1;
    let span_id = SpanId::from_bytes(hex::read(span, at)?);
    Ok(TraceContext {
        trace_id: TraceId::from_bytes(trace_id).ok_or(ParseError::new(ErrorKind::ZeroId, 0))?,
        span_id: Some(span_id.ok_or(ParseError::new(ErrorKind::ZeroId, at))?),
        flags: Flags::default(),
    })
}
