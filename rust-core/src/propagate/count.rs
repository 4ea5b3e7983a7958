//! How often peers sent what was not taken.

use std::sync::atomic::{AtomicU64, Ordering};

use super::baton::Refusal;
use crate::error::ErrorKind;

static COUNTS: [AtomicU64; ErrorKind::ALL.len()] =
    [const { AtomicU64::new(0) }; ErrorKind::ALL.len()];

/// Returns how many refusals this process has listed so far, by what was wrong.
///
/// # Examples
///
/// ```
/// use tracebaton::{carrier::{List, Medium}, error::ErrorKind, propagate::{Propagation, refusals}};
///
/// let headers = List::new(Medium::Http, [("traceparent", Some("00-0-0-00"))]);
/// assert_eq!(Propagation::default().extract(&headers).refused.len(), 1);
/// assert!(refusals().any(|(kind, count)| kind == ErrorKind::BadLength && count > 0));
/// ```
pub fn refusals() -> impl Iterator<Item = (ErrorKind, u64)> {
    let count = |(kind, count): (ErrorKind, &AtomicU64)| (kind, count.load(Ordering::Relaxed));
    ErrorKind::ALL.into_iter().zip(&COUNTS).map(count)
}

pub(super) fn count(refused: &[Refusal]) {
    for refusal in refused {
        let counts = ErrorKind::ALL.into_iter().zip(&COUNTS);
        for (_, count) in counts.filter(|(kind, _)| *kind == refusal.kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
