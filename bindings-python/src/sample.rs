//! Ids and sampling for OpenTelemetry's SDK: `tracebaton/otel_sdk.py` only moves values.

use pyo3::prelude::*;
use tracebaton::{
    propagate::Baton,
    sample::Sampler,
    wire::{Flags, SpanId, TraceContext, TraceId},
};

use crate::otel::Carried;

/// Makes a trace id: a UUIDv7 whose right-most 56 bits are random.
#[pyfunction]
pub(crate) fn otel_new_trace_id() -> u128 {
    u128::from_be_bytes(TraceId::generate().to_bytes())
}

/// Makes a span id.
#[pyfunction]
pub(crate) fn otel_new_span_id() -> u64 {
    u64::from_be_bytes(SpanId::generate().to_bytes())
}

/// Decides whether a span is kept, and what its `tracestate` is then.
///
/// The parent is span id, flags and state. A child does as its parent, unless that came from
/// outside with the decision left open.
#[pyfunction]
#[pyo3(signature = (rate, trace_id, parent, carried))]
pub(crate) fn otel_sample(
    rate: f64,
    trace_id: u128,
    parent: Option<(u64, u8, String)>,
    carried: Option<&Bound<'_, Carried>>,
) -> (bool, String) {
    let Some(trace_id) = TraceId::from_bytes(trace_id.to_be_bytes()) else {
        return (false, String::new());
    };
    let came = carried
        .map(|carried| carried.get().baton_ref())
        .filter(|baton| baton.context.is_some_and(|context| context.trace_id == trace_id));
    let span_id = |baton: &Baton| baton.context.and_then(|context| context.span_id);
    let baton = match (&parent, came) {
        (Some((id, flags, state)), came) => {
            let parent_id = SpanId::from_bytes(id.to_be_bytes());
            let open = came.filter(|baton| baton.is_deferred && span_id(baton) == parent_id);
            let Some(open) = open else {
                return (Flags::from_bits(*flags).is_sampled(), state.clone());
            };
            open.clone()
        }
        (None, Some(came)) => came.clone(),
        (None, None) => {
            let flags = Flags::RANDOM;
            let context = Some(TraceContext { trace_id, span_id: None, flags });
            Baton { context, ..Baton::default() }
        }
    };
    let decided = Sampler::new(rate).decide_on(baton);
    let is_sampled = decided.context.is_some_and(|context| context.flags.is_sampled());
    (is_sampled, decided.tracestate.to_level_1().to_string())
}
