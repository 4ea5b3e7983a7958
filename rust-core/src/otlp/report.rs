//! What an exporter's life came to.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::hop::Counts;

/// What an exporter's life came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// What the endpoint acknowledged.
    pub exported: Counts,
    /// What was given up before the end: memory was full, or the endpoint refused it.
    pub dropped: Counts,
    /// Of what was dropped, that which the endpoint refused, or failed on for long while it took the rest.
    pub refused: Counts,
    /// What was still held when the deadline came.
    pub lost: Counts,
}

impl ShutdownReport {
    /// Tells whether the endpoint has everything that was recorded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.dropped.total() == 0 && self.lost.total() == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [exported, dropped, refused, lost] =
            [self.exported, self.dropped, self.refused, self.lost].map(|counts| counts.total());
        write!(f, "{exported} exported, {dropped} dropped")?;
        if refused > 0 {
            write!(f, " ({refused} refused by the endpoint)")?;
        }
        write!(f, ", {lost} lost")
    }
}

/// Says something on stderr.
pub(super) fn say(text: &str) {
    use std::io::Write;
    // Nobody is left to tell where stderr is gone.
    let _ = writeln!(std::io::stderr(), "tracebaton: {text}");
}

/// The report while it is being written.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    report: ShutdownReport,
    /// What the endpoint refused and has not been told of.
    refused: Counts,
    /// What it failed on for long and has not been told of.
    given_up: Counts,
}

impl Running {
    fn refuse(&mut self, counts: Counts) -> &mut Self {
        self.report.dropped += counts;
        self.report.refused += counts;
        self
    }
}

impl Tally {
    pub(super) fn exported(&self, counts: Counts) {
        self.lock().report.exported += counts;
    }

    pub(super) fn refused(&self, counts: Counts) {
        self.lock().refuse(counts).refused += counts;
    }

    pub(super) fn given_up(&self, counts: Counts) {
        self.lock().refuse(counts).given_up += counts;
    }

    pub(super) fn memory_full(&self, counts: Counts) {
        self.lock().report.dropped += counts;
    }

    pub(super) fn lost(&self, counts: Counts) {
        self.lock().report.lost += counts;
    }

    /// Returns what was refused and what was given up since the last call.
    pub(super) fn take_unsaid(&self) -> (Counts, Counts) {
        let mut running = self.lock();
        (std::mem::take(&mut running.refused), std::mem::take(&mut running.given_up))
    }

    pub(super) fn report(&self) -> ShutdownReport {
        self.lock().report
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
