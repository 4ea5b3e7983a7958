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
/// Returns a [`ParseError`] where `Root` is missing or a part is not as it must be.
pub fn read(value: &[u8]) -> Result<Sighting, ParseError> {
    let (mut root, mut parent, mut sampled) = (None, None, None);
    for part in value.split(|byte| *byte == b';') {
        let equals = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (key, value) = part.split_at_checked(equals).unwrap_or_default();
        let value = trim(value.get(1..).unwrap_or_default());
        match trim(key) {
            b"Root" => root = Some(read_root(value)?),
            b"Parent" => {
                let span_id = SpanId::from_bytes(hex::read(value, 0)?);
                parent = Some(span_id.ok_or(ParseError::new(ErrorKind::ZeroId, 0))?);
            }
            b"Sampled" => {
                sampled = match value {
                    b"1" => Some(true),
                    b"0" => Some(false),
                    b"?" => None,
                    _ => return Err(ParseError::new(ErrorKind::BadByte, 0)),
                }
            }
            _ => {}
        }
    }
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

fn read_root(value: &[u8]) -> Result<TraceId, ParseError> {
    let [b'1', b'-', time_and_unique @ ..] = value else {
        return Err(ParseError::new(ErrorKind::BadVersion, 0));
    };
    let Some((time, [b'-', unique @ ..])) = time_and_unique.split_at_checked(8) else {
        return Err(ParseError::new(ErrorKind::BadLength, value.len()));
    };
    let (time, unique): ([u8; 4], [u8; 12]) = (hex::read(time, 2)?, hex::read(unique, 11)?);
    let mut bytes = [0; 16];
    for (byte, read) in bytes.iter_mut().zip(time.into_iter().chain(unique)) {
        *byte = read;
    }
    TraceId::from_bytes(bytes).ok_or(ParseError::new(ErrorKind::ZeroId, 0))
}
