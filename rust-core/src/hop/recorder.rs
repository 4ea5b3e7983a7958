//! Where hops leave what they saw until an exporter takes it: bounded memory, exact drop counts.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    clock::now,
    counts::{BySignal, Counts, DropCause, Signal},
    ledger::LedgerEvent,
    log::Log,
    proto::Writer,
    shard::{Filling, Shard},
    span::SpanRecord,
    taken::Queue,
    waiting::{List, Waiting},
};
use crate::{propagate::Baton, sample::Sampler};

/// How much encoded telemetry a recorder holds unless told otherwise: 64 MiB.
const DEFAULT_LIMIT: usize = 64 << 20;

/// What the threads share. Each fills its own shard; whoever has a shard locked does not wait for
/// this.
#[derive(Default)]
pub(super) struct State {
    /// The shards of all threads that have recorded anything.
    pub(super) shards: Vec<Arc<Shard>>,
    /// What threads fill that are ending.
    pub(super) filling: Filling,
    /// Chunks that are full.
    pub(super) queues: BySignal<Queue>,
    /// The memory of chunks that were sent.
    pub(super) spare: Vec<Vec<u8>>,
    pub(super) wake: Option<Wake>,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Shared {
    state: Mutex<State>,
    /// Hops that wait to hear of their outputs, or to be done.
    waiting: Waiting,
    /// How often all was forgotten.
    pub(super) age: AtomicU64,
    is_on: AtomicBool,
    pub(super) limit: AtomicUsize,
    /// What is held, and what an exporter has taken and may still have to give up.
    pub(super) bytes: AtomicUsize,
    pub(super) dropped: BySignal<AtomicU64>,
    service: OnceLock<String>,
    /// The share of new traces to be sampled, as the bits of an `f64`; not a number while unset.
    sample_rate: AtomicU64,
}

impl Shared {
    fn take_dropped(&self) -> Counts {
        self.dropped.counts(|count| count.swap(0, Ordering::Relaxed))
    }
}

/// Holds spans, ledger events and log lines as OTLP bytes until an exporter takes them.
///
/// Recording never blocks on the network and never fails; threads that record do not wait for each
/// other. While no exporter is attached nothing is kept. Once the memory limit is reached, what does
/// not fit is dropped and counted.
#[derive(Clone)]
pub struct Recorder(pub(super) Arc<Shared>);

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
        // The clock gets ready now: a fork beside another thread that does it would leave the child waiting.
        let _ = now();
        Self(Arc::new(Shared {
            state: Mutex::default(),
            waiting: Waiting::default(),
            age: AtomicU64::new(0),
            is_on: AtomicBool::new(false),
            limit: AtomicUsize::new(DEFAULT_LIMIT),
            bytes: AtomicUsize::new(0),
            dropped: BySignal::default(),
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
    #[inline]
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
            self.write(|room| room.push(Signal::Spans, |buffer| span.encode(buffer)));
        }
    }

    /// Keeps a ledger event, sampled or not.
    pub fn ledger(&self, event: &LedgerEvent<'_>) {
        self.write(|room| room.push(Signal::Ledger, |buffer| event.encode(buffer)));
    }

    /// Keeps a log line of the application; `baton` is the current hop's.
    pub fn log(&self, log: &Log<'_>, baton: Option<&Baton>) {
        self.log_at(now(), log, baton);
    }

    /// Keeps a log line of a moment.
    pub(crate) fn log_at(&self, time: u64, log: &Log<'_>, baton: Option<&Baton>) {
        self.write(|room| room.push(Signal::Logs, |buffer| log.encode(time, baton, buffer)));
    }

    /// Keeps a `tracebaton.dropped` event that says how much evidence is missing, and why.
    pub fn report_dropped(&self, dropped: Counts, cause: DropCause) {
        let encode = |buffer: &mut Vec<u8>| {
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
                    log.int_pair(6, key, count.cast_signed());
                }
                log.text_pair(6, "tracebaton.reason", cause.as_str());
                log.fixed64(11, time);
                log.text(12, "tracebaton.dropped");
            });
        };
        self.write(|room| room.push(Signal::Ledger, encode));
    }

    /// Calls `wake` whenever there is enough for another full request; the last exporter's counts.
    pub fn on_full(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.lock().wake = Some(Arc::new(wake));
    }

    /// Holds what threads share until the guard is dropped.
    ///
    /// A process that forks takes it before and drops it after, in parent and child: a lock that
    /// another thread holds at that moment would stay locked in the child for ever. Threads that
    /// fill shards of their own go on; a child does not look at those.
    #[must_use]
    pub fn pause(&self) -> Paused<'_> {
        // A hop settles with its own lock held, takes these one after the other, and never both.
        Paused { waiting: self.waiting().hold(), state: self.lock(), shared: &self.0 }
    }

    /// Returns what found no place since the last call.
    #[must_use]
    pub fn take_dropped(&self) -> Counts {
        self.0.take_dropped()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> &Waiting {
        &self.0.waiting
    }
}

/// A recorder whose locks nobody else has; see [`Recorder::pause`].
pub struct Paused<'a> {
    state: MutexGuard<'a, State>,
    waiting: [MutexGuard<'a, List>; 16],
    shared: &'a Shared,
}

impl Paused<'_> {
    /// Forgets all that is held and stops keeping more: in a forked child it is the parent's to
    /// send, and there is no exporter yet.
    pub fn forget(&mut self) {
        self.shared.is_on.store(false, Ordering::Release);
        // Threads get new shards: the old ones may be locked by threads that do not exist here.
        self.shared.age.fetch_add(1, Ordering::Relaxed);
        *self.state = State::default();
        self.waiting.iter_mut().for_each(|list| drop(list.take()));
        self.shared.bytes.store(0, Ordering::Relaxed);
        self.shared.take_dropped();
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
        assert_eq!(recorder.0.bytes.load(Ordering::Relaxed), 0);
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

    #[test]
    fn nothing_is_counted_in_advance_of_what_was_taken() {
        let recorder = Recorder::new();
        recorder.switch(true);
        for _ in 0..3 {
            log(&recorder, "a line");
            let taken = recorder.take();
            assert_eq!(recorder.0.bytes.load(Ordering::Relaxed), taken.logs.len());
            recorder.settle(taken.logs.len());
        }
        assert_eq!(recorder.0.bytes.load(Ordering::Relaxed), 0);
    }
}
