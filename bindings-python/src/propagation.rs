//! Reading and writing batons: the rules of one listener, and the functions that use the process's.

use std::{collections::HashMap, ffi::CStr, path::PathBuf, sync::Arc};

use pyo3::{
    prelude::*,
    types::{IntoPyDict, PyBytes, PyDict},
};
use tracebaton::{carrier::Medium, config::Value, propagate};

use crate::{
    baton::{Extracted, baton_of},
    borrowed,
    errors::PayloadError,
    fastcall::{Call, Function, needed},
    headers, settings,
};

/// How batons are read and written.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Propagation(Arc<propagate::Propagation>);

#[pymethods]
impl Propagation {
    #[new]
    #[pyo3(signature = (*, read=None, write=None, trust=None, payload_paths=None, baggage_keys=None))]
    fn new(
        read: Option<Vec<String>>,
        write: Option<Vec<String>>,
        trust: Option<String>,
        payload_paths: Option<Vec<String>>,
        baggage_keys: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let list = |list: Option<Vec<String>>| list.map(Value::List);
        settings::of([
            ("read", list(read)),
            ("write", list(write)),
            ("trust", trust.map(Value::Text)),
            ("extraction.payload_fields", list(payload_paths)),
            ("baggage_keys", list(baggage_keys)),
        ])
        .map(|settings| Self(Arc::new(settings.propagation())))
    }

    #[staticmethod]
    fn from_settings(values: HashMap<String, settings::Given>) -> PyResult<Self> {
        let settings = settings::of(values.into_iter().map(|(key, value)| (key, Some(value.0))))?;
        Ok(Self(Arc::new(settings.propagation())))
    }

    #[staticmethod]
    fn from_env() -> PyResult<Self> {
        let read = propagate::Propagation::from_env();
        read.map(|rules| Self(Arc::new(rules))).map_err(settings::wrong)
    }

    #[staticmethod]
    fn from_yaml(path: PathBuf) -> PyResult<Self> {
        let read = propagate::Propagation::from_yaml(path);
        read.map(|rules| Self(Arc::new(rules))).map_err(settings::wrong)
    }

    #[pyo3(signature = (headers, *, medium="kafka"))]
    fn extract<'py>(
        &self,
        headers: &Bound<'py, PyAny>,
        medium: &str,
    ) -> PyResult<Bound<'py, Extracted>> {
        extract(&self.0, headers, headers::medium(medium)?)
    }

    fn extract_payload(&self, payload: &Bound<'_, PyAny>) -> PyResult<Extracted> {
        Ok(Extracted(self.0.extract_payload(&payload_of(payload)?).into()))
    }

    #[pyo3(signature = (baton, headers=None, *, medium="kafka"))]
    fn inject<'py>(
        &self,
        py: Python<'py>,
        baton: &Bound<'py, PyAny>,
        headers: Option<Bound<'py, PyAny>>,
        medium: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let headers = headers.unwrap_or_else(|| py.None().into_bound(py));
        let medium = headers::medium(medium)?;
        let mut list = headers::read(&headers, medium)?;
        self.0.inject(&baton_of(baton)?, &mut list);
        headers::write(list, medium, &headers)
    }

    fn inject_payload<'py>(
        &self,
        baton: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let job = self.0.inject_payload(&baton_of(baton)?, &payload_of(payload)?);
        let job = job.map_err(|error| PayloadError::new_err(error.to_string()))?;
        Ok(PyBytes::new(payload.py(), &job))
    }
}

fn payload_of(payload: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    headers::bytes(payload).ok_or_else(|| headers::wrong("payload", "bytes or str", payload))
}

impl Propagation {
    /// Returns the rules themselves.
    pub(crate) fn rules(&self) -> &propagate::Propagation {
        &self.0
    }

    /// Returns a share in the rules.
    pub(crate) fn core(&self) -> Arc<propagate::Propagation> {
        self.0.clone()
    }
}

/// Returns the rules of the process.
pub(crate) fn of_process() -> Arc<propagate::Propagation> {
    propagate::Propagation::of_process()
}

/// Reads headers; the answer is made in its place, and not handed through.
fn extract<'py>(
    rules: &propagate::Propagation,
    headers: &Bound<'py, PyAny>,
    medium: Medium,
) -> PyResult<Bound<'py, Extracted>> {
    headers::extract(headers, medium, |carrier| {
        Bound::new(headers.py(), Extracted(rules.extract_compact(carrier)))
    })?
}

/// Reads a Kafka message's headers where they lie. Nothing where they are of another shape, or there is no
/// memory for the answer: [`extract`] says which.
#[inline]
fn extract_borrowed<'py>(
    rules: &propagate::Propagation,
    headers: &Bound<'py, PyAny>,
) -> Option<Bound<'py, Extracted>> {
    borrowed::of_pairs(headers, Medium::Kafka, |carrier| {
        Bound::new(headers.py(), Extracted(rules.extract_compact(carrier))).ok()
    })?
}

/// The function `extract`.
pub(crate) struct Extract;

impl Function for Extract {
    const NAME: &'static CStr = c"extract";
    const DOC: &'static CStr = c"extract($module, headers, *, medium='kafka')\n--\n\n\
        Reads a baton from headers. What is not taken is listed in `refused`.";

    #[inline]
    fn call<'py>(_: Python<'py>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        if let ([headers], 1) = (call.values, call.by_place)
            && let Some(found) =
                propagate::Propagation::with_process(|rules| extract_borrowed(rules, headers))
        {
            return Ok(found.into_any());
        }
        let [headers, medium] = call.sorted("extract", ["headers", "medium"], 1)?;
        let headers = needed("extract", "headers", headers)?;
        let medium = match medium {
            Some(medium) => headers::medium(medium.extract()?)?,
            None => Medium::Kafka,
        };
        extract(&of_process(), headers, medium).map(Bound::into_any)
    }
}

/// Reads a baton from a JSON payload.
#[pyfunction]
pub(crate) fn extract_payload(payload: &Bound<'_, PyAny>) -> PyResult<Extracted> {
    Propagation(of_process()).extract_payload(payload)
}

/// Returns how often something was refused in this process, by the kind of what was wrong.
#[pyfunction]
pub(crate) fn refusals(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    propagate::refusals().map(|(kind, count)| (kind.as_str(), count)).into_py_dict(py)
}

/// Returns a copy of headers with the baton in them.
#[pyfunction]
#[pyo3(signature = (baton, headers=None, *, medium="kafka"))]
pub(crate) fn inject<'py>(
    py: Python<'py>,
    baton: &Bound<'py, PyAny>,
    headers: Option<Bound<'py, PyAny>>,
    medium: &str,
) -> PyResult<Bound<'py, PyAny>> {
    Propagation(of_process()).inject(py, baton, headers, medium)
}

/// Returns a copy of a JSON object with the baton in it.
#[pyfunction]
pub(crate) fn inject_payload<'py>(
    baton: &Bound<'py, PyAny>,
    payload: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    Propagation(of_process()).inject_payload(baton, payload)
}
