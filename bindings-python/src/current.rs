//! The hop that the running code works for: a `ContextVar`, so that tasks and threads keep theirs.

use pyo3::{intern, prelude::*, sync::PyOnceLock};

use crate::hop::Hop;

static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let made = VARIABLE.get_or_try_init(py, || {
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        class.call1(("tracebaton.hop",)).map(Bound::unbind)
    });
    made.map(|variable| variable.bind(py))
}

/// Returns the current hop; none outside a `with process(…)` block.
#[pyfunction]
pub(crate) fn current_hop(py: Python<'_>) -> PyResult<Option<Bound<'_, Hop>>> {
    let found = variable(py)?.call_method1(intern!(py, "get"), (py.None(),))?;
    Ok(found.cast_into::<Hop>().ok())
}

/// Makes `hop` the current one and returns the one before.
///
/// The value before is put back on exit instead of resetting a token: a token refuses any context
/// but its own, and a generator may be closed from another.
pub(crate) fn replace<'py>(
    py: Python<'py>,
    hop: Option<&Bound<'py, Hop>>,
) -> PyResult<Option<Bound<'py, Hop>>> {
    let before = current_hop(py)?;
    variable(py)?.call_method1(intern!(py, "set"), (hop,))?;
    Ok(before)
}
