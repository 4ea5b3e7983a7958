//! Values that are made once, without anybody waiting for whoever makes them.

use pyo3::{exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyString};

/// Returns what `cell` holds, which `make` makes first where it is empty.
///
/// The cell's own methods take its lock and then wait for the interpreter, and let every other thread
/// wait for the one that makes the value: a child that another thread forks meanwhile finds the lock
/// taken by nobody. Here the value is there before the lock is taken. Two threads may both make it, and
/// the first stays.
pub(crate) fn get_or_make<'c, T>(
    cell: &'c PyOnceLock<T>,
    py: Python<'_>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'c T> {
    if let Some(known) = cell.get(py) {
        return Ok(known);
    }
    // One that comes too late is dropped.
    let _ = cell.set(py, make()?);
    cell.get(py).ok_or_else(|| PyRuntimeError::new_err("nothing was made"))
}

/// A name as Python has it; see [`name!`].
pub(crate) struct Name {
    text: &'static str,
    made: PyOnceLock<Py<PyString>>,
}

impl Name {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, made: PyOnceLock::new() }
    }

    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        let make = || PyString::intern(py, self.text).unbind();
        if self.made.get(py).is_none() {
            let _ = self.made.set(py, make());
        }
        // It is there by now: nothing is waited for.
        self.made.get_or_init(py, make).bind(py)
    }
}

/// Returns an interned name, made at its first use: `pyo3::intern!`, but for a process that forks.
macro_rules! name {
    ($py:expr, $text:literal) => {{
        static NAME: $crate::once::Name = $crate::once::Name::new($text);
        NAME.get($py)
    }};
}
pub(crate) use name;
