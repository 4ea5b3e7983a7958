//! The reading half of the OpenTelemetry propagator: it is called for every request and message.

use std::ffi::CStr;

use pyo3::{PyTraverseError, PyVisit, prelude::*, types::PyType};
use tracebaton::{
    carrier::{Carrier, Medium},
    propagate::Propagation as Rules,
};

use crate::{
    asked::{self, Asked},
    borrowed,
    fastcall::{self, Call, Method, needed},
    headers,
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

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.propagation)?;
        visit.call(&self.default_getter)?;
        visit.call(&self.context)
    }
}

/// Adds the method that reads to its class.
pub(crate) fn add_methods(py: Python<'_>) -> PyResult<()> {
    fastcall::add::<Extract>(&py.get_type::<PropagatorBase>())
}

struct Extract;

impl Method for Extract {
    type Class = PropagatorBase;
    const NAME: &'static CStr = c"extract";
    const DOC: &'static CStr = c"extract($self, carrier, context=None, getter=None)\n--\n\n\
        Returns a context with the baton of `carrier` in it: `context`, or else a new one.";

    fn call<'py>(
        own: &Bound<'py, PropagatorBase>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, own) = (own.py(), own.get());
        let [carrier, context, getter] =
            call.sorted("extract", ["carrier", "context", "getter"], 3)?;
        let carrier = needed("extract", "carrier", carrier)?;
        let context = context.filter(|context| !context.is_none());
        let getter = getter.filter(|getter| !getter.is(&own.default_getter) && !getter.is_none());
        let made = match &own.propagation {
            Some(rules) => read(carrier, context, getter, rules.get().rules()),
            None => Rules::with_process(|rules| read(carrier, context, getter, rules)),
        };
        match (made?, context) {
            (Some(lazy), _) => Ok(lazy.into_any()),
            (None, Some(context)) => Ok(context.clone()),
            (None, None) => own.context.bind(py).call0(),
        }
    }
}

type Made<'py> = PyResult<Option<Bound<'py, LazyContext>>>;

/// Reads a carrier by one of OpenTelemetry's getters; none stands for the one of dictionaries. The context
/// is made in its place, and not handed through.
fn read<'py>(
    carrier: &Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyAny>>,
    getter: Option<&Bound<'py, PyAny>>,
    rules: &Rules,
) -> Made<'py> {
    let read = |headers: &dyn Carrier| {
        let baton = rules.extract_baton(headers);
        if baton.context.is_none() && baton.baggage.is_empty() {
            return Ok(None);
        }
        let outer = context.map(|context| context.clone().unbind());
        Bound::new(carrier.py(), LazyContext::of_baton(baton, outer)).map(Some)
    };
    if let Some(made) = borrowed::of_pairs(carrier, Medium::Kafka, read) {
        return made;
    }
    if let Some(list) = asked::known(carrier, getter.is_none())? {
        return read(&list);
    }
    let Some(getter) = getter else {
        return headers::extract(carrier, Medium::Http, read)?;
    };
    let asked = Asked::new(carrier, getter);
    let made = read(&asked);
    asked.finish()?;
    made
}
