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
    /// What was not kept until the end: memory was full, the endpoint refused it, or it was given up.
    pub dropped: Counts,
    /// Of what was dropped, that which the endpoint refused.
    pub refused: Counts,
    /// Of what was dropped, that which the endpoint failed on for long while it took the rest.
    pub given_up: Counts,
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
        let [exported, dropped, lost] =
            [self.exported, self.dropped, self.lost].map(|counts| counts.total());
        write!(f, "{exported} exported, {dropped} dropped")?;
        match (self.refused.total(), self.given_up.total()) {
            (0, 0) => {}
            (refused, 0) => write!(f, " ({refused} refused by the endpoint)")?,
            (0, given_up) => write!(f, " ({given_up} given up)")?,
            (refused, given_up) => {
                write!(f, " ({refused} refused by the endpoint, {given_up} given up)")?;
            }
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

impl Tally {
    pub(super) fn exported(&self, counts: Counts) {
        self.lock().report.exported += counts;
    }

    pub(super) fn refused(&self, counts: Counts) {
        let mut running = self.lock();
        running.report.dropped += counts;
        running.report.refused += counts;
        running.refused += counts;
    }

    pub(super) fn given_up(&self, counts: Counts) {
        let mut running = self.lock();
        running.report.dropped += counts;
        running.report.given_up += counts;
        running.given_up += counts;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_why_what_was_dropped_was() {
        let logs = |logs| Counts { logs, ..Counts::default() };
        for (refused, given_up, why) in [
            (0, 0, ""),
            (2, 0, " (2 refused by the endpoint)"),
            (0, 3, " (3 given up)"),
            (2, 3, " (2 refused by the endpoint, 3 given up)"),
        ] {
            let tally = Tally::default();
            tally.memory_full(logs(1));
            tally.refused(logs(refused));
            tally.given_up(logs(given_up));
            let report = tally.report();
            assert_eq!((report.refused, report.given_up), (logs(refused), logs(given_up)));
            let dropped = 1 + refused + given_up;
            assert_eq!(report.dropped, logs(dropped));
            assert_eq!(report.to_string(), format!("0 exported, {dropped} dropped{why}, 0 lost"));
            assert!(!report.is_complete());
        }
    }
}
