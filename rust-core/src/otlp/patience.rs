//! How long a request is tried that its endpoint fails on each time.

use std::time::{Duration, Instant};

/// After so many tries in vain a request lets others go first: it may be what the endpoint dies of.
const TURNS: u32 = 3;
/// So often has an endpoint to fail on a request, and to take others before the next try, until the
/// fault is held to be the request's.
const PROOFS: u32 = 10;

/// How long that goes on at least, unless somebody says otherwise: as long as a Collector tries.
pub(super) const USUAL: Duration = Duration::from_secs(5 * 60);

/// What an endpoint made of requests so far. Those that let others go first say no more of the endpoint
/// when they fail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    taken: u64,
    failed: u64,
}

impl Record {
    /// Takes note that the endpoint has taken a request.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// Tells whether more were taken than failed since.
    fn is_better_than(self, earlier: Self) -> bool {
        self.taken - earlier.taken > self.failed - earlier.failed
    }
}

/// The tries of one request.
#[derive(Debug, Default)]
pub(super) struct Tries {
    in_vain: u32,
    proofs: u32,
    /// When it failed first.
    since: Option<Instant>,
    /// The endpoint's record when it failed last.
    seen: Record,
}

/// What to do with a request that was tried in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    TryAgain,
    /// Others go first.
    Wait,
    /// Others go first, as they did before.
    WaitOn,
    GiveUp,
}

impl Tries {
    /// Tells whether others go first.
    pub(super) fn is_last(&self) -> bool {
        self.in_vain >= TURNS
    }

    /// Takes note of a try in vain. While an endpoint fails on all alike nothing is given up.
    pub(super) fn fail(&mut self, record: &mut Record, patience: Duration, now: Instant) -> Next {
        if self.in_vain > 0 && record.is_better_than(self.seen) {
            self.proofs += 1;
        }
        if !self.is_last() {
            record.failed += 1;
        }
        self.in_vain += 1;
        self.seen = *record;
        let since = *self.since.get_or_insert(now);
        match self.in_vain {
            _ if self.proofs >= PROOFS && now - since >= patience => Next::GiveUp,
            ..TURNS => Next::TryAgain,
            TURNS => Next::Wait,
            _ => Next::WaitOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Tries a request once a second, and tells after how many seconds it is given up.
    fn given_up(record: &mut Record, mut others: impl FnMut(&mut Record, u32)) -> Option<u32> {
        let (mut tries, start) = (Tries::default(), Instant::now());
        (0..3600).find(|second| {
            others(record, *second);
            tries.fail(record, USUAL, start + SECOND * *second) == Next::GiveUp
        })
    }

    #[test]
    fn it_is_given_up_after_minutes_in_which_others_are_taken() {
        let mut record = Record::default();
        assert_eq!(given_up(&mut record, |record, _| record.take()), Some(300));
    }

    #[test]
    fn it_is_not_given_up_before_others_were_taken_often() {
        let mut record = Record::default();
        let rarely = |record: &mut Record, second| {
            if second % 60 == 0 {
                record.take();
            }
        };
        assert_eq!(given_up(&mut record, rarely), Some(600));
    }

    #[test]
    fn nothing_is_given_up_while_all_fail_alike() {
        let mut record = Record::default();
        assert_eq!(given_up(&mut record, |_, _| ()), None, "an outage");
        let mostly_failing = |record: &mut Record, _| {
            let mut other = Tries::default();
            for _ in 0..3 {
                other.fail(record, USUAL, Instant::now());
            }
            record.take();
        };
        assert_eq!(given_up(&mut record, mostly_failing), None, "hardly any gets through");
    }

    #[test]
    fn several_that_fail_each_time_do_not_save_each_other() {
        let mut record = Record::default();
        let mut other = Tries::default();
        let beside = |record: &mut Record, _| {
            other.fail(record, USUAL, Instant::now());
            record.take();
        };
        assert!(given_up(&mut record, beside).is_some());
    }

    #[test]
    fn others_go_first_after_a_few_tries() {
        let (mut record, mut tries) = (Record::default(), Tries::default());
        let next = [(); 5].map(|()| tries.fail(&mut record, USUAL, Instant::now()));
        let expected = [Next::TryAgain, Next::TryAgain, Next::Wait, Next::WaitOn, Next::WaitOn];
        assert_eq!(next, expected);
    }
}
