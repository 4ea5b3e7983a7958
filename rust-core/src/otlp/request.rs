//! Wraps recorded chunks into whole OTLP requests, and reads the answers.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::options::Options;
use crate::hop::{Counts, Part, Writer};

/// Which service of the endpoint a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

impl Signal {
    /// Returns what of a recorder's content goes there.
    pub(super) fn part(self) -> Part {
        match self {
            Self::Traces => Part::Spans,
            Self::Logs => Part::Logs,
        }
    }

    /// Returns where it is.
    pub(super) fn url(self, options: &Options) -> &str {
        match self {
            Self::Traces => &options.traces_url,
            Self::Logs => &options.logs_url,
        }
    }
}

/// A request's body, plain or packed by gzip.
#[derive(Clone)]
pub(super) struct Body {
    bytes: Bytes,
    is_gzip: bool,
}

impl Body {
    /// Returns the body in the form that is asked for.
    pub(super) fn encoded(self, gzip: bool) -> Bytes {
        match (self.is_gzip, gzip) {
            (false, true) => packed(&self.bytes),
            (true, false) => unpacked(&self.bytes),
            _ => self.bytes,
        }
    }
}

/// One request's body, and what it holds.
pub(super) struct Shipment {
    body: Body,
    pub(super) counts: Counts,
}

impl Shipment {
    /// Wraps recorded items.
    pub(super) fn new(resource: &[u8], items: &[u8], counts: Counts) -> Self {
        let body = Body { bytes: wrap(resource, items).into(), is_gzip: false };
        Self { body, counts }
    }

    /// Packs the body.
    pub(super) fn pack(&mut self) {
        if !self.body.is_gzip {
            self.body = Body { bytes: packed(&self.body.bytes), is_gzip: true };
        }
    }

    /// Returns how much memory the body takes.
    pub(super) fn len(&self) -> usize {
        self.body.bytes.len()
    }

    pub(super) fn body(&self) -> Body {
        self.body.clone()
    }

    /// Splits the counts into what was taken and the `rejected`. The endpoint tells how many it did
    /// not want, not which: log lines are assumed first, the ledger next.
    pub(super) fn split(&self, rejected: u64) -> (Counts, Counts) {
        let mut left = rejected;
        let mut part = |count: u64| {
            let refused = count.min(left);
            left -= refused;
            (count - refused, refused)
        };
        let (logs, no_logs) = part(self.counts.logs);
        let (ledger, no_ledger) = part(self.counts.ledger);
        let (spans, no_spans) = part(self.counts.spans);
        (
            Counts { spans, logs, ledger },
            Counts { spans: no_spans, logs: no_logs, ledger: no_ledger },
        )
    }
}

fn packed(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    let mut packed = encoder.finish().unwrap_or_default();
    packed.shrink_to_fit();
    packed.into()
}

fn unpacked(bytes: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(bytes.len() * 8);
    // These are bytes that we have packed.
    let _ = GzDecoder::new(bytes).read_to_end(&mut plain);
    plain.into()
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
    fn packing_changes_the_form_only() {
        let mut shipment = Shipment::new(b"who", &[7; 4_000], Counts::default());
        let (plain, length) = (shipment.body().encoded(false), shipment.len());
        shipment.pack();
        assert!(shipment.len() < length / 10);
        assert_eq!(shipment.body().encoded(false), plain);
        assert_eq!(shipment.body().encoded(true).len(), shipment.len());
    }

    #[test]
    fn rejected_items_are_read_from_the_answer() {
        assert_eq!(rejected(&[]), 0);
        assert_eq!(rejected(&[0x0a, 0x00]), 0);
        assert_eq!(rejected(&[0x0a, 0x06, 0x08, 0x96, 0x01, 0x12, 0x01, b'x']), 150);
        assert_eq!(rejected(&[0x0a, 0xff]), 0);
        assert_eq!(rejected(b"<html>"), 0);
    }
}
