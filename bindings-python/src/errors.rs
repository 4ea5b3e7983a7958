//! The exceptions: one for each thing the caller can do about it, all under one base.

use pyo3::{
    create_exception,
    exceptions::{PyBaseException, PyException, PyGeneratorExit, PyMemoryError},
    prelude::*,
};

create_exception!(
    tracebaton,
    TracebatonError,
    PyException,
    "The base of every error of tracebaton."
);
create_exception!(
    tracebaton,
    ConfigError,
    TracebatonError,
    "A setting that cannot be used; the message starts with its name."
);
create_exception!(tracebaton, PayloadError, TracebatonError, "A payload that cannot take a baton.");

/// Returns what was found, or the exception by which an object of a client's or a user's said that it
/// has none.
///
/// # Errors
///
/// Raises on what is nobody's answer: `KeyboardInterrupt`, `SystemExit` and whatever else is no
/// `Exception`, and `MemoryError`.
#[inline]
pub(crate) fn caught<T>(py: Python<'_>, found: PyResult<T>) -> PyResult<Result<T, PyErr>> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(error) => judged(py, error).map(Err),
    }
}

#[cold]
fn judged(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    let is_answer = error.is_instance_of::<PyException>(py);
    if is_answer && !error.is_instance_of::<PyMemoryError>(py) { Ok(error) } else { Err(error) }
}

/// Tells whether an exception stops a program or a task, and says nothing of the record in hand:
/// `KeyboardInterrupt`, `SystemExit`, asyncio's `CancelledError`, and whatever else is no `Exception`. A
/// generator that is closed is not stopped.
pub(crate) fn stops(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance_of::<PyBaseException>()
        && !error.is_instance_of::<PyException>()
        && !error.is_instance_of::<PyGeneratorExit>()
}
