//! Wraps recorded chunks into whole OTLP requests.

use std::{
    collections::VecDeque,
    io::{IoSlice, Read, Write},
    iter, mem,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::hop::{Counts, Part, Recorder, Writer};

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

/// A request's body: plain, in pieces as they were recorded, or packed by gzip.
#[derive(Clone)]
pub(super) enum Body {
    Plain(Arc<[Bytes]>),
    Packed(Bytes),
}

impl Body {
    /// Returns the body in the form that is asked for.
    pub(super) fn encoded(self, gzip: bool) -> Pieces {
        match (self, gzip) {
            (Self::Plain(pieces), false) => Pieces(pieces.iter().cloned().collect()),
            (Self::Plain(pieces), true) => packed(&pieces).into(),
            (Self::Packed(bytes), true) => bytes.into(),
            (Self::Packed(bytes), false) => unpacked(&bytes).into(),
        }
    }
}

/// The bytes of a body, one piece after the other.
pub(super) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// Puts a piece before the others.
    pub(super) fn after(mut self, first: Bytes) -> Self {
        self.0.push_front(first);
        self
    }
}

impl From<Bytes> for Pieces {
    fn from(only: Bytes) -> Self {
        Self(VecDeque::from([only]))
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.0.iter().filter(|piece| !piece.is_empty());
        slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.0.front_mut() {
            let part = piece.len().min(count);
            piece.advance(part);
            count -= part;
            if !piece.is_empty() {
                break;
            }
            self.0.pop_front();
        }
    }
}

/// A chunk on its way, whose memory goes back to the recorder once the last piece of it is gone.
struct Lent {
    chunk: Vec<u8>,
    recorder: Recorder,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.chunk
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.recorder.recycle(mem::take(&mut self.chunk));
    }
}

/// One request's body, and what it holds.
pub(super) struct Shipment {
    body: Body,
    pub(super) counts: Counts,
}

impl Shipment {
    /// Wraps recorded chunks.
    pub(super) fn new(
        resource: &[u8],
        chunks: Vec<Vec<u8>>,
        counts: Counts,
        recorder: &Recorder,
    ) -> Self {
        let start = start(resource, chunks.iter().map(Vec::len).sum());
        let lend = |chunk| Bytes::from_owner(Lent { chunk, recorder: recorder.clone() });
        let pieces = iter::once(start.into()).chain(chunks.into_iter().map(lend));
        Self { body: Body::Plain(pieces.collect()), counts }
    }

    /// Returns the chunks, unless they were packed.
    pub(super) fn chunks(&self) -> Vec<Bytes> {
        match &self.body {
            // What comes first says of which resource they are.
            Body::Plain(pieces) => pieces.iter().skip(1).cloned().collect(),
            Body::Packed(_) => Vec::new(),
        }
    }

    /// Packs the body.
    pub(super) fn pack(&mut self) {
        if let Body::Plain(pieces) = &self.body {
            self.body = Body::Packed(packed(pieces));
        }
    }

    /// Returns how much memory the body takes.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Plain(pieces) => pieces.iter().map(Bytes::len).sum(),
            Body::Packed(bytes) => bytes.len(),
        }
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

fn packed(pieces: &[Bytes]) -> Bytes {
    let length: usize = pieces.iter().map(Bytes::len).sum();
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
        let chunks = vec![vec![7; 4_000], vec![], vec![8; 3_000]];
        let mut shipment = Shipment::new(b"who", chunks, Counts::default(), &Recorder::new());
        let (plain, length) = (all(shipment.body().encoded(false)), shipment.len());
        assert_eq!(plain.len(), length);
        assert!(plain.ends_with(&[&[7; 4_000][..], &[8; 3_000]].concat()));
        shipment.pack();
        assert!(shipment.len() < length / 10);
        assert_eq!(all(shipment.body().encoded(false)), plain);
        assert_eq!(all(shipment.body().encoded(true)).len(), shipment.len());
    }

    #[test]
    fn pieces_are_read_in_any_steps() {
        let text = |bytes: &'static [u8]| Bytes::from_static(bytes);
        for step in 1..=7 {
            let mut pieces =
                Pieces(VecDeque::from([text(b""), text(b"cde"), text(b""), text(b"fg")]))
                    .after(text(b"ab"));
            let mut slices = [IoSlice::new(b""); 4];
            assert_eq!(pieces.chunks_vectored(&mut slices), 3);
            let mut read = Vec::new();
            while pieces.has_remaining() {
                let part = pieces.copy_to_bytes(step.min(pieces.remaining()));
                read.extend_from_slice(&part);
            }
            assert_eq!(read, b"abcdefg", "{step}");
        }
    }
}
