//! The hop that the running code works for: in a `ContextVar`, so that tasks and threads keep theirs.
//!
//! Where the host uses OpenTelemetry that is OpenTelemetry's own variable, and the hop is its current
//! context; else it is one of ours. To set a variable costs as much as a span: there is only ever one.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use pyo3::{
    PyTraverseError, PyVisit, exceptions::PyRuntimeError, ffi, prelude::*, sync::PyOnceLock,
    types::PyDict,
};
use tracebaton::propagate;

use crate::{
    baton::Baton,
    hop::Hop,
    lazy::LazyContext,
    once::{get_or_make, name},
};

static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static HOST: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();

fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let made = get_or_make(&VARIABLE, py, || {
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        class.call1(("tracebaton.hop",)).map(Bound::unbind)
    });
    made.map(|variable| variable.bind(py))
}

/// Makes what lasts as long as the process. Imports that the first hop made would be under way in one
/// thread while another forks, and Python's lock of a module that is being imported stays locked in the child.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    variable(py)?;
    modules(py).map(drop)
}

fn modules(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    let made = get_or_make(&MODULES, py, || {
        let modules = py.import("sys")?.getattr("modules")?;
        PyResult::Ok(modules.cast_into::<PyDict>()?.unbind())
    });
    made.map(|modules| modules.bind(py))
}

/// Returns the variable in which OpenTelemetry keeps its context, once the host has loaded it.
fn host(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyAny>>> {
    if let Some(known) = HOST.get(py) {
        return Ok(known.as_ref().map(|variable| variable.bind(py)));
    }
    let Some(module) = modules(py)?.get_item(name!(py, "opentelemetry.context"))? else {
        return Ok(None);
    };
    // While that module is being imported it has no runtime yet.
    let Ok(runtime) = module.getattr(name!(py, "_RUNTIME_CONTEXT")) else { return Ok(None) };
    // A runtime of another kind keeps its context elsewhere; it does not see our hops.
    let found = runtime.getattr(name!(py, "_current_context")).ok();
    let class = py.import("contextvars")?.getattr("ContextVar")?;
    let found = found.filter(|variable| variable.is_instance(&class).unwrap_or_default());
    let known = get_or_make(&HOST, py, || Ok(found.map(Bound::unbind)))?;
    Ok(known.as_ref().map(|variable| variable.bind(py)))
}

#[expect(unsafe_code, reason = "the C call costs a fifth of the method's")]
fn get<'py>(variable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = variable.py();
    let mut found = std::ptr::null_mut();
    // SAFETY: `variable` is a `ContextVar`; on success `found` is null or a reference of our own.
    let found = unsafe {
        let status = ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut found);
        if status < 0 {
            return Err(PyErr::fetch(py));
        }
        Bound::from_owned_ptr_or_opt(py, found)
    };
    Ok(found.unwrap_or_else(|| py.None().into_bound(py)))
}

#[expect(unsafe_code, reason = "the C call costs a fifth of the method's")]
fn set<'py>(variable: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
    // SAFETY: `variable` is a `ContextVar`; the token is null on failure or a reference of our own.
    let token = unsafe {
        let token = ffi::PyContextVar_Set(variable.as_ptr(), value.as_ptr());
        Bound::from_owned_ptr_or_err(variable.py(), token)
    };
    token.map(drop)
}

/// Returns the current hop; none outside a `with process(…)` block.
#[pyfunction]
pub(crate) fn current_hop(py: Python<'_>) -> PyResult<Option<Bound<'_, Hop>>> {
    if let Some(variable) = host(py)?
        && let Some(hop) = hop_in(get(variable)?)?
    {
        return Ok(Some(hop));
    }
    own_hop(py)
}

/// Returns the hop that a context of OpenTelemetry's belongs to.
fn hop_in<'py>(context: Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Hop>>> {
    let py = context.py();
    if let Ok(ours) = context.cast_exact::<LazyContext>()
        && let Some(hop) = ours.get().hop(py)
    {
        return Ok(Some(hop));
    }
    if !context.len().is_ok_and(|len| len > 0) {
        return Ok(None);
    }
    // Whatever was added to a hop's context, the hop is in it still.
    let key = py.import(name!(py, "tracebaton.otel"))?.getattr(name!(py, "HOP_KEY"))?;
    let found = context.call_method1(name!(py, "get"), (key,))?;
    Ok(found.cast_into::<Hop>().ok())
}

/// Returns the hop that was entered while there was no OpenTelemetry; what was entered within, that is no
/// hop, stands around it.
fn own_hop(py: Python<'_>) -> PyResult<Option<Bound<'_, Hop>>> {
    let mut found = get(variable(py)?)?;
    while let Ok(ours) = found.cast_exact::<LazyContext>() {
        found = ours.get().outer(py);
    }
    Ok(found.cast_into::<Hop>().ok())
}

/// Calls `with` with the baton that a log line of now is to carry: the current hop's, or that of
/// the host's own span inside or outside of it.
pub(crate) fn with_current<T>(
    py: Python<'_>,
    with: impl FnOnce(Option<&propagate::Baton>) -> T,
) -> PyResult<T> {
    if let Some(variable) = host(py)? {
        let context = get(variable)?;
        if let Ok(own) = context.cast_exact::<LazyContext>() {
            return Ok(with(Some(own.get().baton())));
        }
        if context.len().is_ok_and(|len| len > 0) {
            let otel = py.import(name!(py, "tracebaton.otel"))?;
            let baton = otel.call_method0(name!(py, "baton_of"))?;
            if let Ok(baton) = baton.cast::<Baton>() {
                return Ok(with(Some(&baton.get().0)));
            }
        }
    }
    let own = get(variable(py)?)?;
    if let Ok(ours) = own.cast_exact::<LazyContext>() {
        return Ok(with(Some(ours.get().baton())));
    }
    Ok(with(own.cast_exact::<Hop>().ok().map(|hop| hop.get().core().baton())))
}

type Ids = (String, Option<String>, Option<String>);

/// Returns trace id, span id and legacy id as a log line of now is to carry them.
#[pyfunction]
pub(crate) fn current_ids(py: Python<'_>) -> PyResult<Option<Ids>> {
    with_current(py, |baton| {
        let baton = baton?;
        let context = baton.context?;
        let span_id = context.span_id.map(|span_id| span_id.to_string());
        Some((context.trace_id.to_string(), span_id, baton.legacy_text().map(str::to_owned)))
    })
}

/// A `with` block in which a hop is the current one.
#[derive(Default)]
pub(crate) struct Block {
    is_entered: AtomicBool,
    before: Mutex<Before>,
}

impl Block {
    /// Makes `hop` the current one.
    ///
    /// # Errors
    ///
    /// Raises `RuntimeError` where the block is entered already: it can put back only what was
    /// current before the outer one, and the inner one would end what the outer one works for.
    pub(crate) fn enter(&self, hop: &Bound<'_, Hop>) -> PyResult<()> {
        self.begin(|| enter(hop))
    }

    /// Makes the span of a baton the current one: the hop around it stays the current hop.
    ///
    /// # Errors
    ///
    /// As [`Block::enter`].
    pub(crate) fn enter_span(&self, py: Python<'_>, baton: &propagate::Baton) -> PyResult<()> {
        self.begin(|| enter_span(py, baton))
    }

    /// Makes the span of another baton the current one, if the block is entered.
    ///
    /// # Errors
    ///
    /// Raises what setting a `ContextVar` raises.
    pub(crate) fn change_span(&self, py: Python<'_>, baton: &propagate::Baton) -> PyResult<()> {
        let before = std::mem::take(&mut *self.before());
        if matches!(before, Before::Nothing) {
            return Ok(());
        }
        leave(py, &before)?;
        *self.before() = enter_span(py, baton)?;
        Ok(())
    }

    /// Makes the block count as entered, though nothing becomes current.
    pub(crate) fn hold(&self) {
        self.is_entered.store(true, Ordering::Relaxed);
    }

    fn begin(&self, enter: impl FnOnce() -> PyResult<Before>) -> PyResult<()> {
        if self.is_entered.swap(true, Ordering::Relaxed) {
            let message = "this `with` block is entered already: inside of it, and in other threads, \
                           say `with hop.active():`";
            return Err(PyRuntimeError::new_err(message));
        }
        let before = enter();
        self.is_entered.store(before.is_ok(), Ordering::Relaxed);
        *self.before() = before?;
        Ok(())
    }

    /// Puts back what was current before.
    ///
    /// # Errors
    ///
    /// Raises what setting a `ContextVar` raises.
    pub(crate) fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let before = std::mem::take(&mut *self.before());
        self.is_entered.store(false, Ordering::Relaxed);
        leave(py, &before)
    }

    /// Shows whoever collects garbage what was current before.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Who has the lock runs a method of whoever owns the block, and so has a reference to that.
        let Ok(before) = self.before.try_lock() else { return Ok(()) };
        match &*before {
            Before::Nothing => Ok(()),
            Before::Own(before) | Before::Host(before) => visit.call(before),
        }
    }

    fn before(&self) -> MutexGuard<'_, Before> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was current before a hop was, and in which variable.
#[derive(Default)]
enum Before {
    #[default]
    Nothing,
    Own(Py<PyAny>),
    Host(Py<PyAny>),
}

/// Makes `hop` the current one and returns what was before.
fn enter(hop: &Bound<'_, Hop>) -> PyResult<Before> {
    let py = hop.py();
    let Some(variable) = host(py)? else {
        let own = variable(py)?;
        let before = get(own)?;
        set(own, hop)?;
        return Ok(Before::Own(before.unbind()));
    };
    let before = get(variable)?;
    let ours = LazyContext::of_hop(hop.clone().unbind(), before.clone().unbind());
    set(variable, Bound::new(py, ours)?.as_any())?;
    Ok(Before::Host(before.unbind()))
}

/// Makes the span of a baton the current one and returns what was before.
fn enter_span(py: Python<'_>, baton: &propagate::Baton) -> PyResult<Before> {
    let host = host(py)?;
    let variable = match host {
        Some(variable) => variable,
        None => variable(py)?,
    };
    let before = get(variable)?;
    let ours = LazyContext::of_span(baton.clone(), before.clone().unbind());
    set(variable, Bound::new(py, ours)?.as_any())?;
    let before = before.unbind();
    Ok(if host.is_some() { Before::Host(before) } else { Before::Own(before) })
}

/// Puts back what was before.
///
/// That is done instead of resetting a token: a token refuses any context but its own, and a
/// generator may be closed from another.
fn leave(py: Python<'_>, before: &Before) -> PyResult<()> {
    match before {
        Before::Nothing => Ok(()),
        Before::Own(hop) => set(variable(py)?, hop.bind(py)),
        Before::Host(context) => match host(py)? {
            Some(variable) => set(variable, context.bind(py)),
            None => Ok(()),
        },
    }
}
