//! What is looked up once, so that no fork leaves it half done.
//!
//! `PyOnceLock::get_or_init` takes its lock first and then waits for the interpreter: a child that
//! another thread forks in between finds the lock taken for ever. Here the answer is there before the
//! lock is taken, and nobody else runs while it is held.

use std::time::SystemTime;

use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyMapping, PyString},
};

/// Returns what is kept, or keeps what `make` makes. Threads may make it at the same time: the first
/// one's stays.
///
/// # Errors
///
/// Raises what `make` raises.
pub(crate) fn once<'a, T>(
    kept: &'a PyOnceLock<T>,
    py: Python<'_>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'a T> {
    if let Some(known) = kept.get(py) {
        return Ok(known);
    }
    // One that comes too late is dropped.
    let _ = kept.set(py, make()?);
    kept.get(py).ok_or_else(|| PyRuntimeError::new_err("nothing is kept"))
}

/// Lets pyo3 look up what it keeps for our conversions, while there is one thread only.
///
/// # Errors
///
/// Raises what importing `datetime` raises.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = py.None().bind(py).cast::<PyMapping>();
    SystemTime::UNIX_EPOCH.into_pyobject(py).map(drop)
}

/// A name as Python has it; see [`name!`].
pub(crate) struct Name {
    text: &'static str,
    kept: PyOnceLock<Py<PyString>>,
}

impl Name {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, kept: PyOnceLock::new() }
    }

    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        let make = || PyString::intern(py, self.text).unbind();
        if self.kept.get(py).is_none() {
            let _ = self.kept.set(py, make());
        }
        // It is there by now.
        self.kept.get_or_init(py, make).bind(py)
    }
}

/// Returns an interned name, made at its first use: `pyo3::intern!` for a process that forks.
macro_rules! name {
    ($py:expr, $text:literal) => {{
        static NAME: $crate::once::Name = $crate::once::Name::new($text);
        NAME.get($py)
    }};
}
pub(crate) use name;
