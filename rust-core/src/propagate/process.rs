//! The rules of the process: how batons are read and written where nothing else is said.

use std::{
    cell::RefCell,
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
    static SEEN: RefCell<Option<(u64, Arc<Propagation>)>> = const { RefCell::new(None) };
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
    pub fn with_process<T>(mut with: impl FnMut(&Self) -> T) -> T {
        let done = SEEN.try_with(|seen| {
            let age = AGE.load(Ordering::Acquire);
            if let Some((known, rules)) = &*seen.try_borrow().ok()?
                && *known == age
            {
                return Some(with(rules));
            }
            *seen.try_borrow_mut().ok()? = Some((age, Self::of_process()));
            let seen = seen.try_borrow().ok()?;
            seen.as_ref().map(|(_, rules)| with(rules))
        });
        // A thread that is ending, or changes the rules within, asks all the same.
        done.ok().flatten().unwrap_or_else(|| with(&Self::of_process()))
    }

    /// Makes these the rules of the process.
    pub fn set_for_process(self: Arc<Self>) {
        *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = self;
        AGE.fetch_add(1, Ordering::Release);
    }
}
