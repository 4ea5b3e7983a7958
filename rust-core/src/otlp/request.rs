//! Wraps recorded chunks into whole OTLP requests, and reads the answers.

use crate::hop::{Counts, Taken, Writer};

/// Which service of the endpoint a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

/// One request's body, and what of the recorder it holds.
pub(super) struct Shipment {
    pub(super) signal: Signal,
    pub(super) body: Vec<u8>,
    pub(super) counts: Counts,
    pub(super) held: usize,
}

/// Turns what was taken into at most one request per signal.
pub(super) fn shipments(taken: Taken, resource: &[u8]) -> Vec<Shipment> {
    let Taken { spans, logs, counts } = taken;
    let parts = [
        (Signal::Traces, spans, Counts { spans: counts.spans, ..Counts::default() }),
        (Signal::Logs, logs, Counts { spans: 0, ..counts }),
    ];
    let ship = |(signal, items, counts): (Signal, Vec<u8>, Counts)| {
        (counts.total() > 0).then(|| Shipment {
            signal,
            body: wrap(resource, &items),
            counts,
            held: items.len(),
        })
    };
    parts.into_iter().filter_map(ship).collect()
}

/// Wraps items into request, resource and scope: the three messages have the same field numbers for
/// spans and for log records (opentelemetry-proto, `trace_service.proto`, `logs_service.proto`).
fn wrap(resource: &[u8], items: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(items.len() + resource.len() + 64);
    Writer::new(&mut body).message(1, |of_resource| {
        of_resource.message(1, |out| out.raw(resource));
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.text(1, "tracebaton");
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            of_scope.raw(items);
        });
    });
    body
}

/// Reads how many items an answer says were rejected: `partial_success.rejected_*`, which is field 1
/// of field 1. Whatever else an answer holds is not looked at.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    field(answer, 1).and_then(|(_, partial)| field(partial, 1)).map_or(0, |(number, _)| number)
}

/// Finds a field: its number if it is a varint, its bytes if it has a length.
fn field(mut message: &[u8], wanted: u64) -> Option<(u64, &[u8])> {
    loop {
        let tag = varint(&mut message)?;
        let (number, bytes) = match tag & 7 {
            0 => (varint(&mut message)?, &[][..]),
            1 => (0, skip(&mut message, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                (0, skip(&mut message, length)?)
            }
            5 => (0, skip(&mut message, 4)?),
            _ => return None,
        };
        if tag >> 3 == wanted {
            return Some((number, bytes));
        }
    }
}

fn skip<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(bytes)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_items_are_read_from_the_answer() {
        assert_eq!(rejected(&[]), 0);
        assert_eq!(rejected(&[0x0a, 0x00]), 0);
        assert_eq!(rejected(&[0x0a, 0x06, 0x08, 0x96, 0x01, 0x12, 0x01, b'x']), 150);
        assert_eq!(rejected(&[0x0a, 0xff]), 0);
        assert_eq!(rejected(b"<html>"), 0);
    }
}
