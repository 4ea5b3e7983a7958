//! What the OpenTelemetry propagator decides: `tracebaton/otel.py` only moves values.

use pyo3::{prelude::*, types::PyList};
use tracebaton::{
    carrier::{List, Medium},
    propagate::{self, ActiveSpan, Baton as CoreBaton},
    wire::{Baggage, Flags, SpanId, TraceId},
};

use crate::{
    baton::Baton,
    headers,
    propagation::{Propagation, of_process},
    value,
};

/// A baton beside OpenTelemetry's own values, from where it came in to where it goes out.
#[pyclass(module = "tracebaton", frozen, eq)]
#[derive(PartialEq)]
pub(crate) struct Carried(pub(crate) propagate::Carried);

#[pymethods]
impl Carried {
    #[new]
    fn new(baton: &Bound<'_, Baton>) -> Self {
        Self(beside(baton.get().0.clone()))
    }

    #[getter]
    fn baton(&self) -> Baton {
        Baton(self.0.baton().clone())
    }

    /// The trace as OpenTelemetry counts it; 0 where there is none.
    #[getter]
    fn trace_id(&self) -> u128 {
        let context = self.0.baton().context;
        context.map_or(0, |context| u128::from_be_bytes(context.trace_id.to_bytes()))
    }

    /// The parent as OpenTelemetry counts it; 0 where the trace has to begin with a root span.
    #[getter]
    fn span_id(&self) -> u64 {
        let span_id = self.0.baton().context.and_then(|context| context.span_id);
        span_id.map_or(0, |span_id| u64::from_be_bytes(span_id.to_bytes()))
    }

    #[getter]
    fn flags(&self) -> u8 {
        self.0.baton().context.map_or(0, |context| context.flags.bits())
    }

    /// What OpenTelemetry can take of the state.
    #[getter]
    fn tracestate(&self) -> &str {
        self.0.given().as_str()
    }

    #[getter]
    fn baggage(&self) -> Vec<(&str, &str)> {
        let entries = self.0.baton().baggage.entries().iter();
        entries.map(|entry| (&*entry.key, &*entry.value)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<tracebaton.Carried {}>", self.baton().__repr__())
    }
}

impl Carried {
    /// Returns the baton itself.
    pub(crate) fn baton_ref(&self) -> &CoreBaton {
        self.0.baton()
    }
}

/// Puts a baton beside the part of it that OpenTelemetry can take.
pub(crate) fn beside(baton: CoreBaton) -> propagate::Carried {
    let given = baton.tracestate.to_level_1();
    propagate::Carried::new(baton, given)
}

/// Returns the rules to go by: one's own, or else the process's.
pub(crate) fn rules(
    own: Option<&Bound<'_, Propagation>>,
) -> std::sync::Arc<propagate::Propagation> {
    own.map_or_else(of_process, |own| own.get().core())
}

/// A list is how Kafka clients keep headers; anything else is asked by names without case.
fn medium_of(carrier: &Bound<'_, PyAny>) -> Medium {
    if carrier.is_instance_of::<PyList>() { Medium::Kafka } else { Medium::Http }
}

type Span = (u128, u64, u8, String);

/// Returns the headers that go out with a context: its span, and what was carried beside it.
///
/// A list of headers loses what it has under the same names: setters only ever add to it.
#[pyfunction]
#[pyo3(signature = (carrier, carried, span, baggage, is_whole, propagation=None))]
pub(crate) fn otel_inject(
    carrier: &Bound<'_, PyAny>,
    carried: Option<&Bound<'_, Carried>>,
    span: Option<Span>,
    baggage: Vec<(String, Bound<'_, PyAny>)>,
    is_whole: bool,
    propagation: Option<&Bound<'_, Propagation>>,
) -> PyResult<Vec<(String, String)>> {
    let baton = outgoing(carried, span.as_ref(), baggage, is_whole)?.unwrap_or_default();
    let mut list = List::new::<Vec<u8>, Vec<u8>>(medium_of(carrier), []);
    rules(propagation).inject(&baton, &mut list);
    let text = |bytes| String::from_utf8(bytes).unwrap_or_default();
    let written = list.into_entries().into_iter();
    let written: Vec<_> = written
        .filter_map(|(name, value)| Some((text(name).to_ascii_lowercase(), text(value?))))
        .collect();
    if let Ok(list) = carrier.cast::<PyList>() {
        forget(list, &written)?;
    }
    Ok(written)
}

/// Returns the baton that goes out with a context.
#[pyfunction]
pub(crate) fn otel_baton(
    carried: Option<&Bound<'_, Carried>>,
    span: Option<Span>,
    baggage: Vec<(String, Bound<'_, PyAny>)>,
    is_whole: bool,
) -> PyResult<Option<Baton>> {
    Ok(outgoing(carried, span.as_ref(), baggage, is_whole)?.map(Baton))
}

fn outgoing(
    carried: Option<&Bound<'_, Carried>>,
    span: Option<&Span>,
    baggage: Vec<(String, Bound<'_, PyAny>)>,
    is_whole: bool,
) -> PyResult<Option<CoreBaton>> {
    let carried = carried.map(|carried| &carried.get().0);
    let found = propagate::Carried::hand_on(carried, span.and_then(active));
    if found.is_none() && baggage.is_empty() {
        return Ok(None);
    }
    let mut baton = found.unwrap_or_default();
    let now = baggage.into_iter().map(|(key, value)| Ok((key, value::shown(&value)?)));
    follow(&mut baton.baggage, now.collect::<PyResult<_>>()?, is_whole);
    Ok(Some(baton))
}

fn active((trace_id, span_id, flags, tracestate): &Span) -> Option<ActiveSpan<'_>> {
    Some(ActiveSpan {
        trace_id: TraceId::from_bytes(trace_id.to_be_bytes())?,
        span_id: SpanId::from_bytes(span_id.to_be_bytes())?,
        flags: Flags::from_bits(*flags),
        tracestate,
    })
}

/// Brings baggage up to what OpenTelemetry has by now, which may be all of it or what was added;
/// what did not change keeps its properties.
fn follow(baggage: &mut Baggage, now: Vec<(String, String)>, is_whole: bool) {
    if is_whole {
        baggage.retain(|key| now.iter().any(|(known, _)| known == key));
    }
    for (key, value) in now {
        if baggage.get(&key) != Some(value.as_str()) {
            // A key that is no token, or one pair too many, cannot be sent.
            let _ = baggage.set(&key, &value);
        }
    }
}

fn forget(list: &Bound<'_, PyList>, written: &[(String, String)]) -> PyResult<()> {
    for at in (0..list.len()).rev() {
        let name = list.get_item(at)?.get_item(0).ok().and_then(|name| headers::bytes(&name));
        let is_ours =
            name.is_some_and(|name| written.iter().any(|(own, _)| own.as_bytes() == name));
        if is_ours {
            list.del_item(at)?;
        }
    }
    Ok(())
}

/// Returns the names of the headers that may go out.
#[pyfunction]
#[pyo3(signature = (propagation=None))]
pub(crate) fn otel_fields(propagation: Option<&Bound<'_, Propagation>>) -> Vec<String> {
    rules(propagation).fields()
}
