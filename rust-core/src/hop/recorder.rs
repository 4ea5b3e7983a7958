//! Where hops leave what they saw until an exporter takes it: bounded memory, exact drop counts.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    ledger::LedgerEvent,
    log::Log,
    proto::Writer,
    span::{SpanRecord, now},
    value::{Value, encode_pair},
    waiting::Waiting,
};
use crate::{propagate::Baton, sample::Sampler};

/// How much encoded telemetry a recorder holds unless told otherwise: 64 MiB.
const DEFAULT_LIMIT: usize = 64 << 20;

/// How many emptied chunks are kept for later.
#[cfg(feature = "otlp")]
const MAX_SPARE: usize = 4;
/// A chunk is closed once it has this many bytes, so that one request stays small.
const CHUNK: usize = 512 << 10;

/// Telemetry counted by its signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans.
    pub spans: u64,
    /// Log lines of the application.
    pub logs: u64,
    /// Ledger events.
    pub ledger: u64,
}

impl Counts {
    /// Returns how many there are in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.spans + self.logs + self.ledger
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.spans += other.spans;
        self.logs += other.logs;
        self.ledger += other.ledger;
    }
}

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

#[derive(Clone, Copy)]
enum Signal {
    Spans,
    Logs,
    Ledger,
}

impl Signal {
    /// Returns the share of the memory this signal may fill, in sixteenths: when it gets tight,
    /// spans go first, then log lines; the ledger has all of it.
    const fn share(self) -> usize {
        match self {
            Self::Spans => 12,
            Self::Logs => 14,
            Self::Ledger => 16,
        }
    }

    fn of(self, counts: &mut Counts) -> &mut u64 {
        match self {
            Self::Spans => &mut counts.spans,
            Self::Logs => &mut counts.logs,
            Self::Ledger => &mut counts.ledger,
        }
    }
}

/// Encoded items and how many they are.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    count: u64,
}

/// What is recorded of one signal: full chunks, and one that is being filled.
#[derive(Default)]
struct Queue {
    full: VecDeque<Chunk>,
    filling: Chunk,
}

impl Queue {
    /// Appends an item unless it is longer than there is room; returns its length.
    fn push(&mut self, room: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Option<usize> {
        let bytes = &mut self.filling.bytes;
        let before = bytes.len();
        encode(bytes);
        let size = bytes.len() - before;
        if size > room {
            bytes.truncate(before);
            return None;
        }
        self.filling.count += 1;
        Some(size)
    }

    /// Closes the chunk that is being filled once it has its size, and goes on in memory that was
    /// used before, if any is at hand; tells whether it did.
    fn close(&mut self, spare: &mut Vec<Vec<u8>>) -> bool {
        let is_full = self.filling.bytes.len() >= CHUNK;
        if is_full {
            let next = Chunk { bytes: spare.pop().unwrap_or_default(), count: 0 };
            self.full.push_back(std::mem::replace(&mut self.filling, next));
        }
        is_full
    }

    /// Takes the oldest chunk; the one that is being filled only if asked to.
    fn take(&mut self, only_full: bool) -> Option<Chunk> {
        let oldest = self.full.pop_front();
        if oldest.is_none() && !only_full && self.filling.count > 0 {
            return Some(std::mem::take(&mut self.filling));
        }
        oldest
    }

    fn count(&self) -> u64 {
        self.full.iter().map(|chunk| chunk.count).sum::<u64>() + self.filling.count
    }
}

/// What of a recorder's content goes to one service of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(feature = "otlp")]
pub(crate) enum Part {
    /// Spans.
    Spans,
    /// Ledger events and log lines.
    Logs,
}

/// What was taken of one part.
#[cfg(feature = "otlp")]
pub(crate) struct PartTaken {
    /// `spans` or `log_records` fields, one after the other: ledger events first.
    pub(crate) bytes: Vec<u8>,
    /// How many of each.
    pub(crate) counts: Counts,
    /// Whether this was all there was.
    pub(crate) is_all: bool,
}

/// Why telemetry was dropped; the value of `tracebaton.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropCause {
    /// There was no more room in memory.
    MemoryFull,
    /// The endpoint would not take it.
    Refused,
}

impl DropCause {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemoryFull => "memory_full",
            Self::Refused => "refused",
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    spans: Queue,
    logs: Queue,
    ledger: Queue,
    /// Hops that wait to hear of their outputs.
    pub(super) waiting: Waiting,
    /// Chunks that were sent, emptied: fresh memory costs more than what is written into it.
    spare: Vec<Vec<u8>>,
    bytes: usize,
    dropped: Counts,
    wake: Option<Wake>,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

impl State {
    fn queue(&mut self, signal: Signal) -> &mut Queue {
        match signal {
            Signal::Spans => &mut self.spans,
            Signal::Logs => &mut self.logs,
            Signal::Ledger => &mut self.ledger,
        }
    }

    fn take(&mut self, signal: Signal, only_full: bool, out: &mut Vec<u8>, counts: &mut Counts) {
        if let Some(chunk) = self.queue(signal).take(only_full) {
            self.bytes = self.bytes.saturating_sub(chunk.bytes.len());
            *signal.of(counts) += chunk.count;
            if out.is_empty() {
                *out = chunk.bytes;
            } else {
                out.extend_from_slice(&chunk.bytes);
            }
        }
    }
}

struct Shared {
    state: Mutex<State>,
    is_on: AtomicBool,
    limit: AtomicUsize,
    /// Bytes an exporter has taken and may still have to give up; they count against the limit.
    in_flight: AtomicUsize,
    service: OnceLock<String>,
    /// The share of new traces to be sampled, as the bits of an `f64`; not a number while unset.
    sample_rate: AtomicU64,
}

/// Holds spans, ledger events and log lines as OTLP bytes until an exporter takes them.
///
/// Recording never blocks on the network and never fails. While no exporter is attached nothing is
/// kept. Once the memory limit is reached, what does not fit is dropped and counted.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Creates a recorder that keeps nothing until it is switched on.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            is_on: AtomicBool::new(false),
            limit: AtomicUsize::new(DEFAULT_LIMIT),
            in_flight: AtomicUsize::new(0),
            service: OnceLock::new(),
            sample_rate: AtomicU64::new(f64::NAN.to_bits()),
        }))
    }

    /// Returns the recorder of the process.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Recorder> = LazyLock::new(Recorder::new);
        &GLOBAL
    }

    /// Starts or stops keeping what is recorded.
    pub fn switch(&self, on: bool) {
        self.0.is_on.store(on, Ordering::Release);
    }

    /// Tells whether what is recorded is kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Acquire)
    }

    /// Sets how many bytes may be held, the exporter's share included.
    pub fn set_limit(&self, bytes: usize) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// Sets the share of new traces whose spans are kept. Until then all are, and `tracestate` says
    /// nothing of it. Ledger events are always kept.
    pub fn set_sample_rate(&self, rate: f64) {
        self.0.sample_rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// Decides if a trace is sampled that nobody has decided on yet; any other is left as it is.
    #[must_use]
    pub fn decide_on(&self, mut baton: Baton) -> Baton {
        let rate = f64::from_bits(self.0.sample_rate.load(Ordering::Relaxed));
        if !rate.is_nan() {
            return Sampler::new(rate).decide_on(baton);
        }
        if let Some(context) = &mut baton.context
            && (context.span_id.is_none() || baton.is_deferred)
        {
            context.flags = context.flags.with_sampled(true);
            baton.is_deferred = false;
        }
        baton
    }

    /// Names the service on log lines; the first name stays.
    pub fn set_service(&self, name: &str) {
        let _ = self.0.service.set(name.to_owned());
    }

    /// Returns the service's name, empty until it is set.
    #[must_use]
    pub fn service(&self) -> &str {
        self.0.service.get().map_or("", String::as_str)
    }

    /// Keeps a span, unless its trace is not sampled.
    pub fn span(&self, span: &SpanRecord<'_>) {
        if span.flags.is_sampled() {
            self.push(Signal::Spans, |buffer| span.encode(buffer));
        }
    }

    /// Keeps a ledger event, sampled or not.
    pub fn ledger(&self, event: &LedgerEvent<'_>) {
        self.push(Signal::Ledger, |buffer| event.encode(buffer));
    }

    /// Keeps a log line of the application; `baton` is the current hop's.
    pub fn log(&self, log: &Log<'_>, baton: Option<&Baton>) {
        self.push(Signal::Logs, |buffer| log.encode(baton, buffer));
    }

    /// Keeps a `tracebaton.dropped` event that says how much evidence is missing, and why.
    pub fn report_dropped(&self, dropped: Counts, cause: DropCause) {
        self.push(Signal::Ledger, |buffer| {
            Writer::new(buffer).message(2, |log| {
                let time = now();
                log.fixed64(1, time);
                log.uint(2, 13);
                log.text(3, "WARN");
                for (key, count) in [
                    ("tracebaton.dropped.spans", dropped.spans),
                    ("tracebaton.dropped.logs", dropped.logs),
                    ("tracebaton.dropped.ledger", dropped.ledger),
                ] {
                    encode_pair(log, 6, key, &Value::Int(count.cast_signed()));
                }
                encode_pair(log, 6, "tracebaton.reason", &Value::from(cause.as_str()));
                log.fixed64(11, time);
                log.text(12, "tracebaton.dropped");
            });
        });
    }

    fn push(&self, signal: Signal, encode: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_on() {
            return;
        }
        let limit = self.0.limit.load(Ordering::Relaxed) / 16 * signal.share();
        let mut guard = self.lock();
        let state = &mut *guard;
        let room = limit.saturating_sub(state.bytes + self.0.in_flight.load(Ordering::Relaxed));
        let queue = match signal {
            Signal::Spans => &mut state.spans,
            Signal::Logs => &mut state.logs,
            Signal::Ledger => &mut state.ledger,
        };
        match queue.push(room, encode) {
            Some(size) => state.bytes += size,
            None => *signal.of(&mut state.dropped) += 1,
        }
        let wake = queue.close(&mut state.spare).then(|| state.wake.clone()).flatten();
        drop(guard);
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Calls `wake` whenever a chunk has become full; the last exporter's counts.
    pub fn on_full(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.lock().wake = Some(Arc::new(wake));
    }

    /// Keeps every other thread from recording until the guard is dropped.
    ///
    /// A process that forks takes it before and drops it after, in parent and child: a lock that
    /// another thread holds at that moment would stay locked in the child for ever.
    #[must_use]
    pub fn pause(&self) -> Paused<'_> {
        Paused { state: self.lock(), shared: &self.0 }
    }

    /// Takes the oldest chunk of each signal. The caller says by [`Recorder::settle`] when it no
    /// longer holds them.
    #[must_use]
    pub fn take(&self) -> Taken {
        let mut taken = Taken::default();
        let mut state = self.lock();
        state.take(Signal::Spans, false, &mut taken.spans, &mut taken.counts);
        state.take(Signal::Ledger, false, &mut taken.logs, &mut taken.counts);
        state.take(Signal::Logs, false, &mut taken.logs, &mut taken.counts);
        self.0.in_flight.fetch_add(taken.spans.len() + taken.logs.len(), Ordering::Relaxed);
        taken
    }

    /// Takes the oldest chunks of one part, or nothing where there are none. With `only_full`, what
    /// is still being filled stays.
    #[cfg(feature = "otlp")]
    pub(crate) fn take_part(&self, part: Part, only_full: bool) -> Option<PartTaken> {
        let mut taken = PartTaken { bytes: Vec::new(), counts: Counts::default(), is_all: true };
        let mut state = self.lock();
        let signals: &[Signal] = match part {
            Part::Spans => &[Signal::Spans],
            Part::Logs => &[Signal::Ledger, Signal::Logs],
        };
        for signal in signals {
            state.take(*signal, only_full, &mut taken.bytes, &mut taken.counts);
            taken.is_all &= state.queue(*signal).count() == 0;
        }
        self.0.in_flight.fetch_add(taken.bytes.len(), Ordering::Relaxed);
        (taken.counts.total() > 0).then_some(taken)
    }

    /// Takes back the memory of a chunk that is done with.
    #[cfg(feature = "otlp")]
    pub(crate) fn recycle(&self, mut chunk: Vec<u8>) {
        if chunk.capacity() >= CHUNK {
            chunk.clear();
            let mut state = self.lock();
            if state.spare.len() < MAX_SPARE {
                state.spare.push(chunk);
            }
        }
    }

    /// Counts memory that holds something taken beyond what [`Recorder::take`] counted.
    #[cfg(feature = "otlp")]
    pub(crate) fn charge(&self, bytes: usize) {
        self.0.in_flight.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back the memory of something taken.
    pub fn settle(&self, bytes: usize) {
        self.0.in_flight.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns what is held and not yet taken.
    #[must_use]
    pub fn held(&self) -> Counts {
        let state = self.lock();
        Counts {
            spans: state.spans.count(),
            logs: state.logs.count(),
            ledger: state.ledger.count(),
        }
    }

    /// Returns what found no place since the last call.
    #[must_use]
    pub fn take_dropped(&self) -> Counts {
        std::mem::take(&mut self.lock().dropped)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Encoding does not panic; if it did, a chunk would end with a partial record.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A recorder on which nothing else can be recorded; see [`Recorder::pause`].
pub struct Paused<'a> {
    state: MutexGuard<'a, State>,
    shared: &'a Shared,
}

impl Paused<'_> {
    /// Forgets all that is held and stops keeping more: in a forked child it is the parent's to
    /// send, and there is no exporter yet.
    pub fn forget(&mut self) {
        *self.state = State::default();
        self.shared.in_flight.store(0, Ordering::Relaxed);
        self.shared.is_on.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hop::{Level, Log};

    fn log(recorder: &Recorder, message: &str) {
        recorder.log(&Log { level: Level::Info, message, fields: &[] }, None);
    }

    #[test]
    fn nothing_is_kept_until_switched_on() {
        let recorder = Recorder::new();
        log(&recorder, "early");
        assert_eq!(recorder.held().total(), 0);
        recorder.switch(true);
        log(&recorder, "late");
        assert_eq!(recorder.held().logs, 1);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let recorder = Recorder::new();
        recorder.switch(true);
        recorder.set_limit(16 << 10);
        for _ in 0..1_000 {
            log(&recorder, "a line that takes its place in the buffer");
        }
        let held = recorder.held().logs;
        let dropped = recorder.take_dropped().logs;
        assert!(held > 0 && dropped > 0);
        assert_eq!(held + dropped, 1_000);
        assert_eq!(recorder.take_dropped().total(), 0);
    }

    #[test]
    fn a_forked_child_forgets_what_its_parent_held() {
        let recorder = Recorder::new();
        recorder.switch(true);
        log(&recorder, "held");
        let _taken = recorder.take();
        log(&recorder, "held too");
        let mut paused = recorder.pause();
        paused.forget();
        drop(paused);
        assert_eq!(recorder.held().total(), 0);
        assert!(!recorder.is_on());
        assert_eq!(recorder.0.in_flight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn taken_bytes_count_until_settled() {
        let recorder = Recorder::new();
        recorder.switch(true);
        recorder.set_limit(1 << 10);
        log(&recorder, &"x".repeat(700));
        let taken = recorder.take();
        assert_eq!(taken.counts.logs, 1);
        log(&recorder, &"x".repeat(700));
        assert_eq!(recorder.held().logs, 0);
        recorder.settle(taken.logs.len());
        log(&recorder, &"x".repeat(700));
        assert_eq!(recorder.held().logs, 1);
    }
}
