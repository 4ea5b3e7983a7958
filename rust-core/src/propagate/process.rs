//! The rules of the process: how batons are read and written where nothing else is said.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::Propagation;

static PROCESS: LazyLock<RwLock<Arc<Propagation>>> = LazyLock::new(RwLock::default);

impl Propagation {
    /// Returns the rules of the process: the default's, until others are set.
    #[must_use]
    pub fn of_process() -> Arc<Self> {
        PROCESS.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes these the rules of the process.
    pub fn set_for_process(self: Arc<Self>) {
        *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = self;
    }
}
