//! What becomes of the export when the process forks.
//!
//! The child has one thread: the one that forked. Whatever lock another thread holds at that moment
//! stays locked in the child for ever, so ours are taken right before and let go right after. That
//! is done by `pthread_atfork`: between Python's own hooks and the fork other threads may run, and
//! they would wait for our locks with the interpreter in their hands.

use std::{
    cell::RefCell,
    mem,
    sync::{Arc, MutexGuard},
};

use pyo3::{exceptions::PyOSError, prelude::*, types::PyDict, wrap_pyfunction};
use tracebaton::{
    hop::{Paused, Recorder},
    otlp::Exporter,
};

use crate::{
    insert::{self, Open},
    lifecycle::{Running, running},
};

type Held = (MutexGuard<'static, Option<Running>>, Paused<'static>, MutexGuard<'static, Open>);

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

extern "C" fn hold() {
    HELD.set(Some((running(), Recorder::global().pause(), insert::open())));
}

extern "C" fn let_go() {
    drop(HELD.take());
}

extern "C" fn let_go_in_child() {
    tracebaton::wire::forked();
    let_go();
}

/// Registers what is to happen around forks.
pub(crate) fn add_hooks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    #[expect(unsafe_code, reason = "the C library's call; there is no safe form of it")]
    // SAFETY: the handlers take no arguments, do not unwind, and live as long as this library,
    // which Python never unloads.
    let failure = unsafe { libc::pthread_atfork(Some(hold), Some(let_go), Some(let_go_in_child)) };
    if failure != 0 {
        return Err(PyOSError::new_err("cannot register what is to happen at a fork"));
    }
    let hooks = PyDict::new(module.py());
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, module)?)?;
    module.py().import("os")?.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

/// Starts the export anew: the parent's thread does not exist in the child, and what was recorded
/// before the fork is the parent's to send.
#[pyfunction]
fn after_in_child() {
    let recorder = Recorder::global();
    recorder.pause().forget();
    let of_parent = mem::take(&mut *insert::open());
    drop(of_parent);
    let mut running = running();
    let Some(Running { exporter, options }) = running.take() else { return };
    // Joining a thread that is not there would wait for ever.
    mem::forget(exporter);
    let anew = Exporter::start(recorder, &options);
    *running = anew.ok().map(|exporter| Running { exporter: Arc::new(exporter), options });
}
