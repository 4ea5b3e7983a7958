//! Whole lines to stdout, at once: whoever reads a pipe is to see them.

use pyo3::{
    exceptions::PyUnicodeEncodeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString},
};

use crate::once::{get_or_make, name};

/// The names of the module `sys`.
static SYS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static IS_UTF8: PyOnceLock<bool> = PyOnceLock::new();

/// Writes a line to `sys.stdout` as it is now.
///
/// The stdout that the process began with is written to directly: the line appears whole and
/// nothing waits in a buffer. Another one, say a test's, gets the line by its own methods.
pub(crate) fn print(py: Python<'_>, line: &str) -> PyResult<()> {
    let sys = get_or_make(&SYS, py, || py.import("sys").map(|sys| sys.dict().unbind()))?;
    let sys = sys.bind(py);
    let Some(stdout) = sys.get_item(name!(py, "stdout"))?.filter(|stdout| !stdout.is_none()) else {
        return Ok(());
    };
    #[cfg(unix)]
    if let Some(first) = sys.get_item(name!(py, "__stdout__"))?
        && stdout.is(&first)
        && is_plain(&stdout)?
    {
        py.detach(|| write(line.as_bytes()));
        return Ok(());
    }
    let text = PyString::new(py, line);
    if let Err(error) = stdout.call_method1(name!(py, "write"), (&text,)) {
        if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
            return Err(error);
        }
        let escaped = text.call_method1("encode", ("ascii", "backslashreplace"))?;
        stdout.call_method1("write", (escaped.call_method1("decode", ("ascii",))?,))?;
    }
    stdout.call_method0(name!(py, "flush"))?;
    Ok(())
}

/// Tells whether the first stdout takes our bytes as they are: UTF-8 on file descriptor 1.
#[cfg(unix)]
fn is_plain(stdout: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_plain = get_or_make(&IS_UTF8, stdout.py(), || {
        let is_first = stdout.call_method0("fileno").is_ok_and(|fd| fd.eq(1).unwrap_or_default());
        let encoding = stdout.getattr("encoding").and_then(|name| name.extract::<String>());
        Ok(is_first && encoding.is_ok_and(|name| name.eq_ignore_ascii_case("utf-8")))
    });
    is_plain.copied()
}

/// Writes to file descriptor 1, all of it unless that is gone.
#[cfg(unix)]
#[expect(unsafe_code, reason = "Rust's own stdout has a lock that a fork may leave locked")]
fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are those of a slice.
        let written = unsafe { libc::write(1, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => match std::io::Error::last_os_error().kind() {
                std::io::ErrorKind::Interrupted => {}
                std::io::ErrorKind::WouldBlock if is_ready() => {}
                _ => return,
            },
        }
    }
}

/// Waits until a reader of a pipe that does not block has made room; gives up after a second.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the C library's call; there is no safe form of it")]
fn is_ready() -> bool {
    let mut wanted = libc::pollfd { fd: 1, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the pointer is that of one `pollfd`.
    unsafe { libc::poll(&raw mut wanted, 1, 1_000) > 0 }
}
