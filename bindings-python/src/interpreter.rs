//! The interpreter that has loaded this module; a process may have several.

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::{exceptions::PyImportError, ffi, prelude::*};

/// No interpreter has this number.
const NONE: i64 = -1;

static FIRST: AtomicI64 = AtomicI64::new(NONE);

/// Lets one interpreter of the process load the module: types, and objects that are made once, would be shared
/// with another, and be gone when that ends.
///
/// # Errors
///
/// Raises `ImportError` in every other.
pub(crate) fn claim(py: Python<'_>) -> PyResult<()> {
    #[expect(unsafe_code, reason = "there is no safe form of it")]
    // SAFETY: `py` says that this thread is attached to an interpreter.
    let own = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if own < 0 {
        return Err(PyErr::fetch(py));
    }
    match FIRST.compare_exchange(NONE, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first != own => Err(PyImportError::new_err(
            "tracebaton is loaded in another interpreter of this process, and serves that one alone",
        )),
        _ => Ok(()),
    }
}
