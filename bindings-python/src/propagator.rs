//! The reading half of the OpenTelemetry propagator: it is called for every request and message.

use pyo3::{PyTraverseError, PyVisit, prelude::*, types::PyType};
use tracebaton::{
    carrier::Medium,
    propagate::{Baton, Propagation as Rules},
};

use crate::{
    asked::{self, Asked},
    borrowed, headers,
    lazy::LazyContext,
    propagation::Propagation,
};

/// What `tracebaton.otel.BatonPropagator` is made of.
#[pyclass(module = "tracebaton", frozen, subclass)]
pub(crate) struct PropagatorBase {
    propagation: Option<Py<Propagation>>,
    /// OpenTelemetry's own getter for plain dictionaries.
    default_getter: Py<PyAny>,
    context: Py<PyType>,
}

#[pymethods]
impl PropagatorBase {
    #[new]
    #[pyo3(signature = (propagation=None))]
    fn new(py: Python<'_>, propagation: Option<Py<Propagation>>) -> PyResult<Self> {
        let text_map = py.import("opentelemetry.propagators.textmap")?;
        let context = py.import("opentelemetry.context.context")?.getattr("Context")?;
        Ok(Self {
            propagation,
            default_getter: text_map.getattr("default_getter")?.unbind(),
            context: context.cast_into::<PyType>()?.unbind(),
        })
    }

    #[getter]
    fn propagation<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Propagation>> {
        self.propagation.as_ref().map(|own| own.bind(py).clone())
    }

    /// Returns a context with the baton of `carrier` in it: `context`, or else a new one.
    #[pyo3(signature = (carrier, context=None, getter=None))]
    fn extract<'py>(
        &self,
        py: Python<'py>,
        carrier: &Bound<'py, PyAny>,
        context: Option<Bound<'py, PyAny>>,
        getter: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let getter = getter.filter(|getter| !getter.is(&self.default_getter));
        let baton = match &self.propagation {
            Some(own) => read(carrier, getter, own.get().rules())?,
            None => Rules::with_process(|rules| read(carrier, getter, rules))?,
        };
        if baton.context.is_some() || !baton.baggage.is_empty() {
            let lazy = LazyContext::of_baton(baton, context.map(Bound::unbind));
            return Ok(Bound::new(py, lazy)?.into_any());
        }
        context.map_or_else(|| self.context.bind(py).call0(), Ok)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.propagation)?;
        visit.call(&self.default_getter)?;
        visit.call(&self.context)
    }
}

/// Reads a carrier by one of OpenTelemetry's getters; none stands for the one of dictionaries.
fn read(
    carrier: &Bound<'_, PyAny>,
    getter: Option<&Bound<'_, PyAny>>,
    rules: &Rules,
) -> PyResult<Baton> {
    if let Some(baton) = borrowed::of_pairs(carrier, Medium::Kafka, rules) {
        return Ok(baton);
    }
    if let Some(list) = asked::known(carrier, getter.is_none())? {
        return Ok(rules.extract_baton(&list));
    }
    let Some(getter) = getter else {
        return headers::extract(carrier, Medium::Http, rules);
    };
    let asked = Asked::new(carrier, getter);
    let baton = rules.extract_baton(&asked);
    asked.finish()?;
    Ok(baton)
}
