//! OpenTelemetry's context with a baton in it, for hosts that may never look into it.

use pyo3::{PyTraverseError, PyVisit, prelude::*, sync::PyOnceLock, types::PyIterator};
use tracebaton::propagate::Baton;

use crate::{
    hop::Hop,
    once::{get_or_make, name},
    otel::{Carried, beside},
};

/// A context of OpenTelemetry with a baton in it, made only if somebody looks into it.
#[pyclass(module = "tracebaton", frozen, mapping)]
pub(crate) struct LazyContext {
    source: Source,
    outer: Option<Py<PyAny>>,
    made: PyOnceLock<Py<PyAny>>,
}

/// Returns the function that makes what is looked into.
fn make(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found = get_or_make(&MAKE, py, || {
        py.import("tracebaton.otel")?.getattr("_context").map(Bound::unbind)
    });
    found.map(|make| make.bind(py))
}

enum Source {
    Hop(Py<Hop>),
    /// A span of this process that is no hop's.
    Span(Baton),
    /// What came in.
    Baton(Baton),
}

impl LazyContext {
    /// Creates the context of a hop that began in `outer`.
    pub(crate) fn of_hop(hop: Py<Hop>, outer: Py<PyAny>) -> Self {
        Self { source: Source::Hop(hop), outer: Some(outer), made: PyOnceLock::new() }
    }

    /// Returns the baton in it.
    pub(crate) fn baton(&self) -> &Baton {
        match &self.source {
            Source::Hop(hop) => hop.get().core().baton(),
            Source::Span(baton) | Source::Baton(baton) => baton,
        }
    }

    /// Returns what was current before.
    pub(crate) fn outer<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let outer = self.outer.as_ref().map(|outer| outer.bind(py).clone());
        outer.unwrap_or_else(|| py.None().into_bound(py))
    }

    /// Returns the hop, where this is the context of one.
    pub(crate) fn hop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Hop>> {
        match &self.source {
            Source::Hop(hop) => Some(hop.bind(py).clone()),
            Source::Span(_) | Source::Baton(_) => None,
        }
    }

    /// Creates the context of a span of this process that began in `outer`.
    pub(crate) fn of_span(baton: Baton, outer: Py<PyAny>) -> Self {
        Self { source: Source::Span(baton), outer: Some(outer), made: PyOnceLock::new() }
    }

    /// Creates the context of what came in, on top of `outer`.
    pub(crate) fn of_baton(baton: Baton, outer: Option<Py<PyAny>>) -> Self {
        Self { source: Source::Baton(baton), outer, made: PyOnceLock::new() }
    }

    fn made<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let made = get_or_make(&self.made, py, || {
            let carried = Carried(beside(self.baton().clone()));
            let is_remote = matches!(self.source, Source::Baton(_));
            let arguments = (carried, self.outer.as_ref(), self.hop(py), is_remote);
            make(py)?.call1(arguments).map(Bound::unbind)
        });
        made.map(|made| made.bind(py))
    }
}

#[pymethods]
impl LazyContext {
    /// Hosts that ask whether this is a `Context` of theirs are told that it is one.
    #[getter]
    fn __class__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import(name!(py, "opentelemetry.context.context"))?.getattr(name!(py, "Context"))
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.made(py)?.eq(other)
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.made(py)?.getattr(name)
    }

    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.made(py)?.call_method1(name!(py, "get"), (key, default))
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.made(py)?.get_item(key)
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.made(py)?.contains(key)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.made(py)?.try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.made(py)?.len()
    }

    #[expect(unsafe_code, reason = "who collects garbage hands no token on")]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.outer)?;
        if let Source::Hop(hop) = &self.source {
            visit.call(hop)?;
        }
        // SAFETY: whoever collects garbage is attached to the interpreter, and nothing but the pointer is read.
        let made = unsafe { self.made.get(Python::assume_attached()) };
        made.map_or(Ok(()), |made| visit.call(made))
    }
}
