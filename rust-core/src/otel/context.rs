//! From a baton to an OpenTelemetry context and back.

use std::str::FromStr;

use opentelemetry::{
    Context,
    trace::{self, SpanContext, TraceContextExt, TraceFlags, TraceState},
};

use crate::{
    propagate::{ActiveSpan, Baton, Carried},
    wire::{Flags, SpanId, TraceContext, TraceId},
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
    // What OpenTelemetry's stricter grammar refuses is kept in the baton only.
    let given = TraceState::from_str(&baton.tracestate.to_level_1()).unwrap_or_default();
    let parent_of = |context: TraceContext| {
        // A root is nobody's child, whatever span is active here.
        let Some(span_id) = context.span_id else { return SpanContext::empty_context() };
        SpanContext::new(
            trace::TraceId::from_bytes(context.trace_id.to_bytes()),
            trace::SpanId::from_bytes(span_id.to_bytes()),
            TraceFlags::new(context.flags.bits()),
            true,
            given.clone(),
        )
    };
    let span = baton.context.map(parent_of);
    let cx = parent.with_value(Carried::new(baton.clone(), given.header()));
    match span {
        Some(span) => cx.with_remote_span_context(span),
        None => cx,
    }
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
    let tracestate = span.trace_state().header();
    let ids = TraceId::from_bytes(span.trace_id().to_bytes())
        .zip(SpanId::from_bytes(span.span_id().to_bytes()));
    let active = ids.map(|(trace_id, span_id)| ActiveSpan {
        trace_id,
        span_id,
        flags: Flags::from_bits(span.trace_flags().to_u8()),
        tracestate: &tracestate,
    });
    Carried::hand_on(cx.get::<Carried>(), active)
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
