//! From a baton to an OpenTelemetry context and back.

use std::borrow::Cow;

use opentelemetry::{
    Context,
    trace::{self, SpanContext, TraceContextExt, TraceFlags, TraceState},
};

use super::baggage;
use crate::{
    propagate::{ActiveSpan, Baton, Carried},
    wire::{self, Flags, SpanId, TraceContext, TraceId},
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
    Context::map_current(|parent| cx_in(parent, baton))
}

/// Returns `parent` with `baton` in it.
#[must_use]
pub fn cx_in(parent: &Context, baton: &Baton) -> Context {
    let (known, given) = given(&baton.tracestate);
    let parent_of = |context: TraceContext| {
        // A root is nobody's child, whatever span is active here.
        let Some(span_id) = context.span_id else { return SpanContext::empty_context() };
        SpanContext::new(
            trace::TraceId::from_bytes(context.trace_id.to_bytes()),
            trace::SpanId::from_bytes(span_id.to_bytes()),
            TraceFlags::new(context.flags.bits()),
            true,
            given,
        )
    };
    let is_kept_beside = parent.get::<Carried>().is_some() || !is_told_by_span(baton, &known);
    let span = baton.context.map(parent_of);
    let cx = match (is_kept_beside, span) {
        (false, Some(span)) => parent.with_remote_span_context(span),
        (_, span) => {
            let cx = parent.with_value(Carried::new(baton.clone(), known));
            match span {
                Some(span) => cx.with_remote_span_context(span),
                None => cx,
            }
        }
    };
    baggage::give(cx, &baton.baggage)
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
    let span = cx.span();
    let span = span.span_context();
    let carried = cx.get::<Carried>();
    let given = carried.map_or("", |carried| carried.given().as_str());
    let tracestate = written(span.trace_state(), given);
    let ids = TraceId::from_bytes(span.trace_id().to_bytes())
        .zip(SpanId::from_bytes(span.span_id().to_bytes()));
    let active = ids.map(|(trace_id, span_id)| ActiveSpan {
        trace_id,
        span_id,
        flags: Flags::from_bits(span.trace_flags().to_u8()),
        tracestate: &tracestate,
    });
    let baton = Carried::hand_on(carried, active);
    let known = baton.as_ref().map(|baton| baton.baggage.clone()).unwrap_or_default();
    match baggage::changed(cx, &known) {
        Some(baggage) => Some(Baton { baggage, ..baton.unwrap_or_default() }),
        None => baton,
    }
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
    let context = cx.get::<Carried>()?.baton().context?;
    let is_root = context.span_id.is_none() && !cx.span().span_context().is_valid();
    is_root.then_some(context.trace_id)
}

/// Tells whether the span in this context came from another process that left open if it is sampled.
pub(super) fn is_open(cx: &Context) -> bool {
    cx.span().span_context().is_remote() && baton_of(cx).is_some_and(|baton| baton.is_deferred)
}
