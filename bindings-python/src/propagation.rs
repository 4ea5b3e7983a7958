//! Reading and writing batons: the rules of one listener, and the functions that use the process's.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use pyo3::{prelude::*, types::PyBytes};
use tracebaton::propagate::{self, Format, Trust, UnknownFormat};

use crate::{
    baton::{Extracted, baton_of},
    errors::{ConfigError, PayloadError},
    headers,
};

/// How batons are read and written.
#[pyclass(module = "tracebaton", frozen)]
pub(crate) struct Propagation(Arc<propagate::Propagation>);

#[pymethods]
impl Propagation {
    #[new]
    #[pyo3(signature = (*, read=None, write=None, trust="continue", payload_paths=None, baggage_keys=None))]
    fn new(
        read: Option<Vec<String>>,
        write: Option<Vec<String>>,
        trust: &str,
        payload_paths: Option<Vec<String>>,
        baggage_keys: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let mut propagation = propagate::Propagation::default().with_trust(trust_of(trust)?);
        if let Some(names) = read {
            propagation = propagation.with_read(formats("read", &names)?);
        }
        if let Some(names) = write {
            propagation = propagation.with_write(formats("write", &names)?);
        }
        if let Some(paths) = payload_paths {
            propagation = propagation.with_payload_paths(paths);
        }
        if let Some(keys) = baggage_keys {
            propagation = propagation.with_baggage_keys(keys);
        }
        Ok(Self(Arc::new(propagation)))
    }

    #[pyo3(signature = (headers, *, medium="kafka"))]
    fn extract(&self, headers: &Bound<'_, PyAny>, medium: &str) -> PyResult<Extracted> {
        let medium = headers::medium(medium)?;
        headers::with(headers, medium, |carrier| Extracted(self.0.extract(carrier)))
    }

    fn extract_payload(&self, payload: &Bound<'_, PyAny>) -> PyResult<Extracted> {
        Ok(Extracted(self.0.extract_payload(&payload_of(payload)?)))
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

fn trust_of(name: &str) -> PyResult<Trust> {
    let known = [Trust::Continue, Trust::Restart, Trust::Ignore];
    known.into_iter().find(|trust| trust.as_str() == name).ok_or_else(|| {
        let known = known.map(Trust::as_str).join(", ");
        ConfigError::new_err(format!("trust: there is no such policy (there are {known}): {name}"))
    })
}

fn formats(key: &str, names: &[String]) -> PyResult<Vec<Format>> {
    let read = names.iter().map(|name| name.parse());
    read.collect::<Result<_, UnknownFormat>>()
        .map_err(|error| ConfigError::new_err(format!("{key}: {error}")))
}

impl Propagation {
    /// Returns the rules themselves.
    pub(crate) fn core(&self) -> Arc<propagate::Propagation> {
        self.0.clone()
    }
}

static PROCESS: LazyLock<RwLock<Arc<propagate::Propagation>>> = LazyLock::new(RwLock::default);

/// Returns the rules of the process.
pub(crate) fn of_process() -> Arc<propagate::Propagation> {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Sets the rules of the process.
pub(crate) fn set_for_process(propagation: &Propagation) {
    *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = propagation.0.clone();
}

/// Reads a baton from headers. What is not taken is listed in `refused`.
#[pyfunction]
#[pyo3(signature = (headers, *, medium="kafka"))]
pub(crate) fn extract(headers: &Bound<'_, PyAny>, medium: &str) -> PyResult<Extracted> {
    Propagation(of_process()).extract(headers, medium)
}

/// Reads a baton from a JSON payload.
#[pyfunction]
pub(crate) fn extract_payload(payload: &Bound<'_, PyAny>) -> PyResult<Extracted> {
    Propagation(of_process()).extract_payload(payload)
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
