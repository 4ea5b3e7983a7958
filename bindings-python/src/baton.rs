//! What a request hands on, and how it was come by, as frozen Python values.

use std::time::SystemTime;

use pyo3::{exceptions::PyTypeError, prelude::*};
use tracebaton::{
    TraceContext,
    propagate::{self, Compact},
};

use crate::hop::Hop;

/// What a request hands on: its trace, its parent span, its state and its baggage.
#[pyclass(module = "tracebaton", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Baton(pub(crate) propagate::Baton);

#[pymethods]
impl Baton {
    #[getter]
    fn trace_id(&self) -> Option<String> {
        self.0.context.map(|context| context.trace_id.to_string())
    }

    #[getter]
    fn span_id(&self) -> Option<String> {
        self.0.context.and_then(|context| context.span_id).map(|id| id.to_string())
    }

    #[getter]
    fn flags(&self) -> Option<u8> {
        self.0.context.map(|context| context.flags.bits())
    }

    #[getter]
    fn traceparent(&self) -> Option<String> {
        self.0.context.and_then(TraceContext::to_traceparent)
    }

    #[getter]
    fn tracestate(&self) -> &str {
        self.0.tracestate.as_str()
    }

    #[getter]
    fn baggage(&self) -> Vec<(&str, &str, Option<&str>)> {
        let entries = self.0.baggage.entries().iter();
        entries.map(|one| (&*one.key, &*one.value, one.properties.as_deref())).collect()
    }

    #[getter]
    fn legacy_id(&self) -> Option<&str> {
        self.0.legacy_text()
    }

    #[getter]
    fn is_debug(&self) -> bool {
        self.0.is_debug
    }

    #[getter]
    fn is_deferred(&self) -> bool {
        self.0.is_deferred
    }

    pub(crate) fn __repr__(&self) -> String {
        match self.0.id_text() {
            Some(id) => format!("<tracebaton.Baton {id}>"),
            None => "<tracebaton.Baton without a trace>".to_owned(),
        }
    }
}

/// Where a trace id came from.
#[pyclass(module = "tracebaton", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Source(propagate::Source);

#[pymethods]
impl Source {
    #[getter]
    fn place(&self) -> &'static str {
        self.0.place.as_str()
    }

    #[getter]
    fn format(&self) -> &'static str {
        self.0.format.as_str()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn is_trusted(&self) -> bool {
        self.0.is_trusted
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.Source {} {} {}>", self.place(), self.format(), self.0.name)
    }
}

/// Something a peer sent that was not taken.
#[pyclass(module = "tracebaton", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Refusal(propagate::Refusal);

#[pymethods]
impl Refusal {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.Refusal {} {}>", self.0.name, self.0.kind)
    }
}

/// What was found in headers, a payload or metadata.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Extracted(pub(crate) Compact);

#[pymethods]
impl Extracted {
    #[getter]
    fn baton(&self) -> Baton {
        Baton(self.0.baton().into_owned())
    }

    #[getter]
    fn trace_id(&self) -> Option<String> {
        self.0.context().map(|context| context.trace_id.to_string())
    }

    #[getter]
    fn span_id(&self) -> Option<String> {
        self.0.context().and_then(|context| context.span_id).map(|id| id.to_string())
    }

    #[getter]
    fn legacy_id(&self) -> Option<&str> {
        self.0.legacy_text()
    }

    #[getter]
    fn source(&self) -> Option<Source> {
        self.0.whole().source.clone().map(Source)
    }

    #[getter]
    fn linked(&self) -> Option<String> {
        self.0.linked().and_then(TraceContext::to_traceparent)
    }

    #[getter]
    fn refused(&self) -> Vec<Refusal> {
        self.0.whole().refused.iter().cloned().map(Refusal).collect()
    }

    #[getter]
    fn extraction_time(&self) -> SystemTime {
        self.0.whole().extraction_time
    }

    fn __repr__(&self) -> String {
        let baton = self.0.baton();
        let id = baton.id_text();
        let id = id.as_deref().unwrap_or("without a trace");
        format!("<tracebaton.Extracted {id}, {} refused>", self.0.whole().refused.len())
    }
}

/// Returns the baton that a `Baton`, an `Extracted` or a `Hop` holds.
///
/// # Errors
///
/// Raises `TypeError` for anything else.
pub(crate) fn baton_of(value: &Bound<'_, PyAny>) -> PyResult<propagate::Baton> {
    if let Ok(baton) = value.cast::<Baton>() {
        return Ok(baton.get().0.clone());
    }
    if let Ok(extracted) = value.cast::<Extracted>() {
        return Ok(extracted.get().0.baton().into_owned());
    }
    if let Ok(hop) = value.cast::<Hop>() {
        return Ok(hop.get().core().baton().clone());
    }
    let found = crate::value::type_name(value);
    Err(PyTypeError::new_err(format!("baton must be a Baton, an Extracted or a Hop, not {found}")))
}
