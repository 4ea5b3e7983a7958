//! The rules of the process: how batons are read and written where nothing else is said.

use std::{
    cell::Cell,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Propagation;

static PROCESS: LazyLock<RwLock<Arc<Propagation>>> = LazyLock::new(RwLock::default);
/// How often they were set.
static AGE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The rules as this thread saw them last, and how often they had been set then.
    static SEEN: Cell<Option<(u64, Arc<Propagation>)>> = const { Cell::new(None) };
}

impl Propagation {
    /// Returns the rules of the process: the default's, until others are set.
    #[must_use]
    pub fn of_process() -> Arc<Self> {
        PROCESS.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `with` with the rules of the process: what every message does waits for no other thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracebaton::propagate::{Propagation, Trust};
    ///
    /// assert_eq!(Propagation::with_process(Propagation::trust), Trust::Continue);
    /// ```
    pub fn with_process<T>(with: impl FnOnce(&Self) -> T) -> T {
        let age = AGE.load(Ordering::Acquire);
        // Who asks while this goes on finds nothing, and asks the lock: so does a thread that is ending.
        let seen = SEEN.try_with(Cell::take).ok().flatten().filter(|(known, _)| *known == age);
        let seen = seen.unwrap_or_else(|| (age, Self::of_process()));
        let done = with(&seen.1);
        let _ = SEEN.try_with(|place| place.set(Some(seen)));
        done
    }

    /// Makes these the rules of the process.
    pub fn set_for_process(self: Arc<Self>) {
        *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = self;
        AGE.fetch_add(1, Ordering::Release);
    }
}
