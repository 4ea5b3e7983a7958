//! Wraps recorded chunks into whole OTLP requests.

use std::io::{Read, Write};

use bytes::{Buf, Bytes, buf::Chain};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

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

    /// Returns its name in the names of variables.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
        }
    }
}

/// A request's body: plain, in two pieces, or packed by gzip.
#[derive(Clone)]
pub(super) enum Body {
    Plain { start: Bytes, items: Bytes },
    Packed(Bytes),
}

/// The bytes of a body, one piece after the other.
pub(super) type Pieces = Chain<Bytes, Bytes>;

impl Body {
    /// Returns the body in the form that is asked for.
    pub(super) fn encoded(self, gzip: bool) -> Pieces {
        match (self, gzip) {
            (Self::Plain { start, items }, false) => start.chain(items),
            (Self::Plain { start, items }, true) => packed(&[&start, &items]).chain(Bytes::new()),
            (Self::Packed(bytes), true) => bytes.chain(Bytes::new()),
            (Self::Packed(bytes), false) => unpacked(&bytes).chain(Bytes::new()),
        }
    }
}

impl Body {
    fn into_items(self) -> Option<Vec<u8>> {
        match self {
            Self::Plain { items, .. } => items.try_into_mut().ok().map(Vec::from),
            Self::Packed(_) => None,
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
    pub(super) fn new(resource: &[u8], items: Vec<u8>, counts: Counts) -> Self {
        let start = start(resource, items.len()).into();
        Self { body: Body::Plain { start, items: items.into() }, counts }
    }

    /// Packs the body, and returns the memory it had.
    pub(super) fn pack(&mut self) -> Option<Vec<u8>> {
        let Body::Plain { start, items } = &self.body else { return None };
        let packed = Body::Packed(packed(&[start, items]));
        std::mem::replace(&mut self.body, packed).into_items()
    }

    /// Returns how much memory the body takes.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Plain { start, items } => start.len() + items.len(),
            Body::Packed(bytes) => bytes.len(),
        }
    }

    pub(super) fn body(&self) -> Body {
        self.body.clone()
    }

    /// Returns the memory of what was recorded, if nobody else has it.
    pub(super) fn into_items(self) -> Option<Vec<u8>> {
        self.body.into_items()
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

fn packed(pieces: &[&[u8]]) -> Bytes {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut encoder = GzEncoder::new(Vec::with_capacity(length), Compression::fast());
    for piece in pieces {
        // Writing into memory does not fail.
        let _ = encoder.write_all(piece);
    }
    // A copy of just its length, as it may have to stay for long: what grows leaves holes behind it.
    Bytes::copy_from_slice(&encoder.finish().unwrap_or_default())
}

fn unpacked(bytes: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(bytes.len() * 8);
    // These are bytes that we have packed.
    let _ = GzDecoder::new(bytes).read_to_end(&mut plain);
    plain.into()
}

/// Writes what stands before the items of a request: request, resource and scope. The three messages
/// have the same field numbers for spans and for log records (opentelemetry-proto,
/// `trace_service.proto`, `logs_service.proto`), and items come last in each.
fn start(resource: &[u8], items: usize) -> Vec<u8> {
    let mut scope = Vec::new();
    Writer::new(&mut scope).message(1, |scope| {
        scope.text(1, "tracebaton");
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
    let mut of_resource = Vec::with_capacity(resource.len() + scope.len() + 16);
    let mut writer = Writer::new(&mut of_resource);
    writer.bytes(1, resource);
    writer.start(2, scope.len() + items);
    writer.raw(&scope);
    let mut start = Vec::with_capacity(of_resource.len() + 8);
    let mut writer = Writer::new(&mut start);
    writer.start(1, of_resource.len() + items);
    writer.raw(&of_resource);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_changes_the_form_only() {
        let all = |mut pieces: Pieces| pieces.copy_to_bytes(pieces.remaining());
        let mut shipment = Shipment::new(b"who", vec![7; 4_000], Counts::default());
        let (plain, length) = (all(shipment.body().encoded(false)), shipment.len());
        assert_eq!(plain.len(), length);
        assert_eq!(shipment.pack().map(|items| items.len()), Some(4_000));
        assert!(shipment.len() < length / 10);
        assert_eq!(all(shipment.body().encoded(false)), plain);
        assert_eq!(all(shipment.body().encoded(true)).len(), shipment.len());
    }
}
