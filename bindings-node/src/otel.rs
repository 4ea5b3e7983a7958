//! The baton among the spans of OpenTelemetry's JavaScript API.

use napi_derive::napi;
use tracebaton::{
    propagate::{self, ActiveSpan, Carried, Propagation},
    sample::Sampler,
    wire::{Baggage, Flags, SpanId, TraceContext, TraceId, TraceState},
};

use crate::baton::{BaggageEntry, Baton, wrong};

/// Returns what goes out: the active span, with what came along with its trace; or null.
///
/// `baggage` is given where somebody has changed it.
#[napi]
pub fn hand_on(
    baton: Option<&Baton>,
    trace_id: Option<String>,
    span_id: Option<String>,
    flags: Option<u32>,
    tracestate: Option<String>,
    baggage: Option<Vec<BaggageEntry>>,
) -> Option<Baton> {
    // Our `TraceState` holds everything that came in: nothing was withheld from OpenTelemetry.
    let carried = baton.map(|Baton(baton)| Carried::new(baton.clone(), baton.tracestate.clone()));
    let trace_id = trace_id.and_then(|id| TraceId::parse(&id).ok());
    let span_id = span_id.and_then(|id| SpanId::parse(&id).ok());
    let tracestate = tracestate.unwrap_or_default();
    let active = trace_id.zip(span_id).map(|(trace_id, span_id)| ActiveSpan {
        trace_id,
        span_id,
        flags: Flags::from_bits(flags.unwrap_or_default() as u8),
        tracestate: &tracestate,
    });
    let handed_on = Carried::hand_on(carried.as_ref(), active);
    let Some(entries) = baggage else { return handed_on.map(Baton) };
    let fields: Vec<String> = entries.iter().map(to_field).collect();
    let (baggage, _) = Baggage::read_fields(fields.iter().map(String::as_bytes));
    Some(Baton(propagate::Baton { baggage, ..handed_on.unwrap_or_default() }))
}

/// Writes one pair as a field of its own; nothing where its key cannot be written.
fn to_field(entry: &BaggageEntry) -> String {
    let mut one = Baggage::default();
    // A key that the host's API takes and the standard does not has no place in a header.
    let _ = one.set(&entry.key, &entry.value);
    match &entry.properties {
        Some(properties) if !one.is_empty() => format!("{};{properties}", one.to_header()),
        _ => one.to_header(),
    }
}

/// The names that are written, in lower case.
#[napi]
pub fn fields() -> Vec<String> {
    Propagation::of_process().fields()
}

/// Returns a `tracestate` with this member first; one that breaks the grammar changes nothing.
#[napi]
pub fn with_member(list: String, key: String, value: String) -> String {
    let state = TraceState::parse(&list).unwrap_or_default();
    state.with(&key, &value).unwrap_or(state).to_string()
}

/// Returns a `tracestate` without this member.
#[napi]
pub fn without_member(list: String, key: String) -> String {
    TraceState::parse(&list).unwrap_or_default().without(&key).to_string()
}

/// Returns the value of a member of a `tracestate`.
#[napi]
pub fn member(list: String, key: String) -> Option<String> {
    TraceState::parse(&list).ok()?.get(&key).map(str::to_owned)
}

/// What was decided of a span that is being started.
#[napi(object)]
pub struct Decision {
    /// Whether it is kept.
    pub is_sampled: bool,
    /// The state that goes along with its trace.
    pub tracestate: String,
}

/// Decides whether a span is kept: `baton` is what goes out from the context it is started in.
///
/// # Errors
///
/// Throws for a trace id that is none.
#[napi]
pub fn decide(rate: f64, baton: Option<&Baton>, trace_id: String) -> napi::Result<Decision> {
    let trace_id = TraceId::parse(&trace_id).map_err(|error| wrong(&error.to_string()))?;
    let is_its =
        |baton: &&propagate::Baton| baton.context.is_some_and(|cx| cx.trace_id == trace_id);
    let given = baton.map(|Baton(baton)| baton).filter(is_its).cloned();
    // An id of the SDK's own is random.
    let flags = Flags::RANDOM;
    let baton = given.unwrap_or_else(|| propagate::Baton {
        context: Some(TraceContext { trace_id, span_id: None, flags }),
        ..propagate::Baton::default()
    });
    let decided = Sampler::new(rate).decide_on(baton);
    let is_sampled = decided.context.is_some_and(|context| context.flags.is_sampled());
    Ok(Decision { is_sampled, tracestate: decided.tracestate.to_string() })
}

/// Makes a trace id: a UUIDv7 whose right-most 56 bits are random.
#[napi]
pub fn new_trace_id() -> String {
    TraceId::generate().to_string()
}

/// Makes a span id.
#[napi]
pub fn new_span_id() -> String {
    SpanId::generate().to_string()
}
