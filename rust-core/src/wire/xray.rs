//! AWS X-Ray's `X-Amzn-Trace-Id` (AWS X-Ray developer guide, "Tracing header").

use super::{
    context::{Flags, TraceContext},
    hex,
    id::{SpanId, TraceId},
    sighting::Sighting,
    trim,
};
use crate::error::{ErrorKind, ParseError};

/// Reads `Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0|1|?}`, in any order.
///
/// # Errors
///
/// Returns a [`ParseError`] where `Root` is missing, or a part is not as it must be or is there twice.
pub fn read(value: &[u8]) -> Result<Sighting, ParseError> {
    let (mut root, mut parent, mut sampled) = (None, None, None);
    let mut at = 0;
    for part in value.split(|byte| *byte == b';') {
        let equals = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (key, value) = part.split_at_checked(equals).unwrap_or_default();
        let value = trim(value.get(1..).unwrap_or_default());
        let is_repeated = match trim(key) {
            b"Root" => root.replace(read_root(value, at)?).is_some(),
            b"Parent" => {
                let span_id = SpanId::from_bytes(hex::read(value, at)?);
                parent.replace(span_id.ok_or(ParseError::new(ErrorKind::ZeroId, at))?).is_some()
            }
            b"Sampled" => sampled.replace(read_sampled(value, at)?).is_some(),
            _ => false,
        };
        if is_repeated {
            return Err(ParseError::new(ErrorKind::Duplicate, at));
        }
        at += part.len() + 1;
    }
    let sampled = sampled.flatten();
    let trace_id = root.ok_or(ParseError::new(ErrorKind::BadLength, value.len()))?;
    let context = TraceContext { trace_id, span_id: parent, flags: Flags::default() };
    Ok(Sighting::new(context, sampled, false))
}

/// Writes the header; nothing while there is no span id.
#[must_use]
pub fn write(context: TraceContext, is_deferred: bool) -> Option<String> {
    let span_id = context.span_id?;
    let trace_id = context.trace_id.to_string();
    let (time, unique) = trace_id.split_at_checked(8)?;
    let sampled = match (is_deferred, context.flags.is_sampled()) {
        (true, _) => "?",
        (_, true) => "1",
        (_, false) => "0",
    };
    Some(format!("Root=1-{time}-{unique};Parent={span_id};Sampled={sampled}"))
}

/// Reads the decision; `?` asks whoever comes next to decide.
fn read_sampled(value: &[u8], at: usize) -> Result<Option<bool>, ParseError> {
    match value {
        b"1" => Ok(Some(true)),
        b"0" => Ok(Some(false)),
        b"?" => Ok(None),
        _ => Err(ParseError::new(ErrorKind::BadByte, at)),
    }
}

fn read_root(value: &[u8], at: usize) -> Result<TraceId, ParseError> {
    let [b'1', b'-', time_and_unique @ ..] = value else {
        return Err(ParseError::new(ErrorKind::BadVersion, at));
    };
    let Some((time, [b'-', unique @ ..])) = time_and_unique.split_at_checked(8) else {
        return Err(ParseError::new(ErrorKind::BadLength, at));
    };
    let (time, unique): ([u8; 4], [u8; 12]) = (hex::read(time, at)?, hex::read(unique, at)?);
    let mut bytes = [0; 16];
    for (byte, read) in bytes.iter_mut().zip(time.into_iter().chain(unique)) {
        *byte = read;
    }
    TraceId::from_bytes(bytes).ok_or(ParseError::new(ErrorKind::ZeroId, at))
}
