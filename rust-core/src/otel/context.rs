//! From a baton to an OpenTelemetry context and back.

use std::borrow::Cow;

use opentelemetry::{
    Context,
    baggage::BaggageExt,
    trace::{self, SpanContext, TraceContextExt, TraceFlags, TraceState},
};

use super::baggage;
use crate::{
    propagate::{ActiveSpan, Baton, Carried},
    wire::{self, Baggage, Flags, SpanId, TraceContext, TraceId},
};

/// Returns the current context with `baton` in it: spans that are started in it are its children.
///
/// # Examples
///
/// ```
/// use tracebaton::{TraceContext, otel, propagate::Baton};
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// let context = Some(TraceContext::parse(text)?);
/// let guard = otel::cx(&Baton { context, ..Baton::default() }).attach();
/// assert_eq!(otel::current().unwrap().context, context);
/// # drop(guard);
/// # Ok::<(), tracebaton::ParseError>(())
/// ```
#[must_use]
pub fn cx(baton: &Baton) -> Context {
    Context::map_current(|parent| match baton.context {
        Some(context) if baton.is_plain() => cx_of(parent, context),
        _ => cx_in(parent, baton),
    })
}

/// Returns `parent` with `baton` in it.
#[must_use]
pub fn cx_in(parent: &Context, baton: &Baton) -> Context {
    let (known, state) = given(&baton.tracestate);
    let gives = Gives { state, known, has_baggage: true };
    baggage::give(beside(parent, baton.clone(), gives), &baton.baggage)
}

/// Returns `parent` with `baton` in it, whose state and baggage OpenTelemetry does not get to see.
#[inline]
pub(super) fn cx_passing(parent: &Context, baton: Baton) -> Context {
    baggage::give(beside(parent, baton, Gives::default()), &Baggage::default())
}

/// Returns `parent` with a span in it that came in, and nothing with it.
#[inline(always)]
pub(super) fn cx_of(parent: &Context, context: TraceContext) -> Context {
    // The span is made some time before it is moved on: what was written in parts is then in memory,
    // and can be read at once without waiting.
    let span = context.span_id.map(|span_id| span(context, span_id, TraceState::NONE));
    let is_told = parent.get::<Beside>().is_none() && parent.baggage().is_empty();
    match span {
        Some(span) if is_told && !context.flags.is_random() => {
            parent.with_remote_span_context(span)
        }
        _ => cx_in(parent, &Baton { context: Some(context), ..Baton::default() }),
    }
}

/// A baton beside OpenTelemetry's own span, and whether OpenTelemetry was given its baggage.
struct Beside {
    carried: Carried,
    has_baggage: bool,
}

/// What OpenTelemetry is given of a baton.
#[derive(Default)]
struct Gives {
    state: TraceState,
    /// The same state as ours.
    known: wire::TraceState,
    has_baggage: bool,
}

/// Returns `parent` with the span of `baton`, and the baton beside it where that does not say all.
#[inline]
fn beside(parent: &Context, baton: Baton, gives: Gives) -> Context {
    let Gives { state, known, has_baggage } = gives;
    let is_kept = parent.get::<Beside>().is_some() || !is_told_by_span(&baton, &known);
    let span = baton.context.map(|context| match context.span_id {
        Some(span_id) => span(context, span_id, state),
        // A root is nobody's child, whatever span is active here.
        None => SpanContext::empty_context(),
    });
    let keep = || parent.with_value(Beside { carried: Carried::new(baton, known), has_baggage });
    match (is_kept.then(keep), span) {
        (Some(cx), None) => cx,
        (Some(cx), Some(span)) => cx.with_remote_span_context(span),
        (None, Some(span)) => parent.with_remote_span_context(span),
        (None, None) => parent.clone(),
    }
}

#[inline(always)]
fn span(context: TraceContext, span_id: SpanId, state: TraceState) -> SpanContext {
    SpanContext::new(
        trace::TraceId::from_bytes(context.trace_id.to_bytes()),
        trace::SpanId::from_bytes(span_id.to_bytes()),
        TraceFlags::new(context.flags.bits()),
        true,
        state,
    )
}

/// Returns what OpenTelemetry can take of a state, as ours and as its own.
fn given(state: &wire::TraceState) -> (wire::TraceState, TraceState) {
    if state.is_empty() {
        return Default::default();
    }
    // What its stricter grammar refuses is kept in the baton only.
    let known = state.to_level_1();
    match TraceState::from_key_value(known.members()) {
        Ok(given) => (known, given),
        Err(_) => Default::default(),
    }
}

/// Tells whether OpenTelemetry's own span says all that the baton does, so that nothing needs to be
/// kept beside it.
///
/// Its SDK takes the random flag from spans it does not sample, and gives it to none.
fn is_told_by_span(baton: &Baton, known: &wire::TraceState) -> bool {
    let is_told = |context: TraceContext| context.span_id.is_some() && !context.flags.is_random();
    let Baton { context, tracestate, baggage, legacy, is_debug, is_deferred } = baton;
    context.is_some_and(is_told)
        && tracestate == known
        && baggage.is_empty()
        && legacy.is_none()
        && !is_debug
        && !is_deferred
}

/// Returns the baton of the current context.
#[must_use]
pub fn current() -> Option<Baton> {
    Context::map_current(baton_of)
}

/// Returns the baton of a context: its active span, with what came along with its trace.
#[must_use]
pub fn baton_of(cx: &Context) -> Option<Baton> {
    if let Some(context) = plain_of(cx) {
        return Some(Baton { context: Some(context), ..Baton::default() });
    }
    let span = cx.span();
    let span = span.span_context();
    let beside = cx.get::<Beside>();
    let carried = beside.map(|beside| &beside.carried);
    let given = carried.map_or("", |carried| carried.given().as_str());
    let tracestate = written(span.trace_state(), given);
    let active = ids(span).map(|(trace_id, span_id)| ActiveSpan {
        trace_id,
        span_id,
        flags: Flags::from_bits(span.trace_flags().to_u8()),
        tracestate: &tracestate,
    });
    let baton = Carried::hand_on(carried, active);
    let none = Baggage::default();
    let ours = baton.as_ref().map_or(&none, |baton| &baton.baggage);
    let known = if beside.is_none_or(|beside| beside.has_baggage) { ours } else { &none };
    match baggage::changed(cx, ours, known) {
        Some(baggage) => Some(Baton { baggage, ..baton.unwrap_or_default() }),
        None => baton,
    }
}

/// Returns where the active span of a context stands, if that is all there is to hand on.
#[inline]
pub(super) fn plain_of(cx: &Context) -> Option<TraceContext> {
    let span = cx.span();
    let span = span.span_context();
    let is_plain = cx.get::<Beside>().is_none()
        && span.trace_state().into_iter().next().is_none()
        && cx.baggage().is_empty();
    let (trace_id, span_id) = ids(span).filter(|_| is_plain)?;
    let flags = Flags::from_bits(span.trace_flags().to_u8());
    Some(TraceContext { trace_id, span_id: Some(span_id), flags })
}

#[inline]
fn ids(span: &SpanContext) -> Option<(TraceId, SpanId)> {
    TraceId::from_bytes(span.trace_id().to_bytes())
        .zip(SpanId::from_bytes(span.span_id().to_bytes()))
}

/// Returns how OpenTelemetry writes a state, mostly the one it was given.
fn written<'a>(state: &TraceState, given: &'a str) -> Cow<'a, str> {
    let mut rest = given;
    for (key, value) in state {
        let after = rest.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        let after = after.and_then(|rest| rest.strip_prefix(value));
        let Some(after) = after.filter(|rest| rest.is_empty() || rest.starts_with(',')) else {
            return Cow::Owned(state.header());
        };
        rest = after.strip_prefix(',').unwrap_or_default();
    }
    if rest.is_empty() { Cow::Borrowed(given) } else { Cow::Owned(state.header()) }
}

/// Returns the trace that a root in this context belongs to: a legacy id names one, and no span.
pub(super) fn given_trace(cx: &Context) -> Option<TraceId> {
    let context = cx.get::<Beside>()?.carried.baton().context?;
    let is_root = context.span_id.is_none() && !cx.span().span_context().is_valid();
    is_root.then_some(context.trace_id)
}

/// Tells whether the span in this context came from another process that left open if it is sampled.
pub(super) fn is_open(cx: &Context) -> bool {
    cx.span().span_context().is_remote() && baton_of(cx).is_some_and(|baton| baton.is_deferred)
}
