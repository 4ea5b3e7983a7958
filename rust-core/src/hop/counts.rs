//! Telemetry counted by its signal, and why some of it is dropped.

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

/// Why telemetry was dropped; the value of `tracebaton.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropCause {
    /// There was no more room in memory.
    MemoryFull,
    /// The endpoint would not take it.
    Refused,
    /// The endpoint failed on it for long, while it took what else there was.
    GivenUp,
}

impl DropCause {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemoryFull => "memory_full",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }
}

/// What kind of telemetry an item is.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Spans,
    Logs,
    Ledger,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Spans, Self::Logs, Self::Ledger];

    /// Returns the share of the memory this signal may fill, in sixteenths: when it gets tight,
    /// spans go first, then log lines; the ledger has all of it.
    pub(super) const fn share(self) -> usize {
        match self {
            Self::Spans => 12,
            Self::Logs => 14,
            Self::Ledger => 16,
        }
    }
}

/// One of something for each signal.
#[derive(Default)]
pub(super) struct BySignal<T> {
    pub(super) spans: T,
    pub(super) logs: T,
    pub(super) ledger: T,
}

impl<T> BySignal<T> {
    pub(super) const fn of(&self, signal: Signal) -> &T {
        match signal {
            Signal::Spans => &self.spans,
            Signal::Logs => &self.logs,
            Signal::Ledger => &self.ledger,
        }
    }

    pub(super) const fn of_mut(&mut self, signal: Signal) -> &mut T {
        match signal {
            Signal::Spans => &mut self.spans,
            Signal::Logs => &mut self.logs,
            Signal::Ledger => &mut self.ledger,
        }
    }

    /// Counts each.
    pub(super) fn counts(&self, count: impl Fn(&T) -> u64) -> Counts {
        Counts { spans: count(&self.spans), logs: count(&self.logs), ledger: count(&self.ledger) }
    }
}
