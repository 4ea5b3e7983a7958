//! Values that are made once, without anybody waiting for whoever makes them.

use pyo3::{prelude::*, sync::PyOnceLock};

/// Returns what `cell` holds, which `make` makes first where it is empty.
///
/// The cell's own method lets every other thread wait for the one that makes the value, and making it
/// runs Python code, beside which another thread may fork: in the child the one that is waited for
/// does not exist. Here two threads may both make the value, and the first stays.
pub(crate) fn get_or_make<'c, T>(
    cell: &'c PyOnceLock<T>,
    py: Python<'_>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'c T> {
    if let Some(known) = cell.get(py) {
        return Ok(known);
    }
    let made = make()?;
    Ok(cell.get_or_init(py, || made))
}
