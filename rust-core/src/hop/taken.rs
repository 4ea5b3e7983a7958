//! How an exporter gets what was recorded: chunks of all threads, oldest first.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::Ordering},
};

use super::{
    counts::{BySignal, Counts, Signal},
    recorder::{Recorder, State},
    shard::{CHUNK, Chunk, Filling},
};

/// So many bytes make a request.
const REQUEST: usize = 512 << 10;
/// So many emptied chunks are kept for later, until nothing comes any more: fresh memory costs more
/// than what is written into it.
#[cfg(feature = "otlp")]
const MAX_SPARE: usize = 256;

/// Encoded telemetry on its way to an exporter.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// `ScopeSpans.spans` fields, one after the other.
    pub spans: Vec<u8>,
    /// `ScopeLogs.log_records` fields, one after the other: ledger events first.
    pub logs: Vec<u8>,
    /// How many of each.
    pub counts: Counts,
}

impl Taken {
    /// Tells whether nothing was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.total() == 0
    }
}

/// What of a recorder's content goes to one service of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Spans.
    Spans,
    /// Ledger events and log lines.
    Logs,
}

impl Part {
    /// Returns its signals, what matters most first.
    const fn signals(self) -> &'static [Signal] {
        match self {
            Self::Spans => &[Signal::Spans],
            Self::Logs => &[Signal::Ledger, Signal::Logs],
        }
    }
}

/// What was taken of one part.
#[cfg(feature = "otlp")]
pub(crate) struct PartTaken {
    /// `spans` or `log_records` fields, one after the other: ledger events first.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// How many of each.
    pub(crate) counts: Counts,
    /// Whether this was all there was.
    pub(crate) is_all: bool,
}

/// Chunks that no thread fills any more.
#[derive(Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

impl Queue {
    fn put(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    fn take(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.bytes.len();
        Some(chunk)
    }

    pub(super) fn count(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.count).sum()
    }
}

impl State {
    /// Collects what the threads are still filling, and returns how many bytes were counted that are
    /// none. A thread that has ended leaves its shard here.
    pub(super) fn gather(&mut self, signals: &[Signal]) -> usize {
        let Self { shards, queues, filling, .. } = self;
        let mut advance = 0;
        let mut take = |filling: &mut Filling| {
            advance += mem::take(&mut filling.advance);
            let chunks = &mut filling.chunks;
            for signal in signals {
                let chunk = chunks.of_mut(*signal);
                if chunk.count > 0 {
                    queues.of_mut(*signal).put(mem::take(chunk));
                }
            }
            chunks.counts(|chunk| chunk.count).total() == 0
        };
        take(filling);
        shards.retain(|shard| {
            let is_empty = take(&mut shard.lock());
            !is_empty || Arc::strong_count(shard) > 1
        });
        advance
    }

    fn bytes(&self, part: Part) -> usize {
        part.signals().iter().map(|signal| self.queues.of(*signal).bytes).sum()
    }

    /// Takes chunks of one part until they make a request.
    fn take(&mut self, part: Part) -> (Vec<Vec<u8>>, Counts) {
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        let mut counts = BySignal::<u64>::default();
        for signal in part.signals() {
            while bytes < REQUEST
                && let Some(chunk) = self.queues.of_mut(*signal).take()
            {
                bytes += chunk.bytes.len();
                *counts.of_mut(*signal) += chunk.count;
                chunks.push(chunk.bytes);
            }
        }
        (chunks, counts.counts(|count| *count))
    }
}

impl Recorder {
    /// Puts full chunks where the exporter finds them, and wakes it once they make a request.
    #[cold]
    pub(super) fn put(&self, full: Vec<(Signal, Chunk)>) {
        let mut spare = Vec::with_capacity(full.len());
        let mut state = self.lock();
        let requests =
            |state: &State| [Part::Spans, Part::Logs].map(|part| state.bytes(part) / REQUEST);
        let before = requests(&state);
        for (signal, chunk) in full {
            state.queues.of_mut(signal).put(chunk);
            let memory = state.spare.pop();
            spare.push((signal, memory.unwrap_or_else(|| Vec::with_capacity(CHUNK))));
        }
        let is_request = requests(&state) != before;
        let wake = is_request.then(|| state.wake.clone()).flatten();
        drop(state);
        self.give_spare(spare);
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Takes the oldest chunks of each signal. The caller says by [`Recorder::settle`] when it no
    /// longer holds them.
    #[must_use]
    pub fn take(&self) -> Taken {
        let mut state = self.lock();
        self.settle(state.gather(&Signal::ALL));
        let (spans, mut counts) = state.take(Part::Spans);
        let (logs, of_logs) = state.take(Part::Logs);
        drop(state);
        counts += of_logs;
        Taken { spans: spans.concat(), logs: logs.concat(), counts }
    }

    /// Takes the oldest chunks of one part, or nothing where there are none. With `only_full`,
    /// nothing is taken that does not make a full request.
    #[cfg(feature = "otlp")]
    pub(crate) fn take_part(&self, part: Part, only_full: bool) -> Option<PartTaken> {
        let mut state = self.lock();
        if !only_full {
            self.settle(state.gather(part.signals()));
        } else if state.bytes(part) < REQUEST {
            return None;
        }
        let (chunks, counts) = state.take(part);
        if chunks.is_empty() {
            let half = state.spare.len() / 2;
            state.spare.truncate(half);
            return None;
        }
        Some(PartTaken { chunks, counts, is_all: state.bytes(part) == 0 })
    }

    /// Tells whether a quarter of the memory is in use.
    #[cfg(feature = "otlp")]
    pub(crate) fn is_filling(&self) -> bool {
        let limit = self.0.limit.load(Ordering::Relaxed);
        self.0.bytes.load(Ordering::Relaxed) >= limit / 4
    }

    /// Takes back the memory of a chunk that is done with.
    #[cfg(feature = "otlp")]
    pub(crate) fn recycle(&self, mut chunk: Vec<u8>) {
        if (CHUNK..=2 * CHUNK).contains(&chunk.capacity()) {
            chunk.clear();
            let mut state = self.lock();
            if state.spare.len() < MAX_SPARE {
                state.spare.push(chunk);
            }
        }
    }

    /// Counts memory that holds something taken beyond the chunks themselves.
    #[cfg(feature = "otlp")]
    pub(crate) fn charge(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back the memory of something taken.
    pub fn settle(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns what is held and not yet taken.
    #[must_use]
    pub fn held(&self) -> Counts {
        let state = self.lock();
        let mut held = state.queues.counts(Queue::count);
        held += state.filling.chunks.counts(|chunk| chunk.count);
        for shard in &state.shards {
            held += shard.lock().chunks.counts(|chunk| chunk.count);
        }
        held
    }
}
