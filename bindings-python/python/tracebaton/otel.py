"""tracebaton as an OpenTelemetry propagator: `OTEL_PROPAGATORS=tracebaton`.

Needs `opentelemetry-api`. What comes in travels beside OpenTelemetry's own values, because those
cannot hold all of it; what goes out is put right again.
"""

from __future__ import annotations

from opentelemetry import baggage, trace
from opentelemetry.context import get_value, set_value
from opentelemetry.context.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Setter,
    TextMapPropagator,
    default_setter,
)

from tracebaton import _native
from tracebaton._ids import HOP_KEY, KEY, TraceId, teach_sdk
from tracebaton._native import Baton, Carried, Hop

__all__ = ["BatonPropagator", "baton_of", "context_with"]


class BatonPropagator(_native.PropagatorBase, TextMapPropagator):
    """Reads and writes batons for OpenTelemetry.

    Without a `Propagation` of its own it goes by the one that `tracebaton.init` was given.
    """

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        headers = _native.otel_inject(carrier, *_outgoing(context), self.propagation)
        for name, value in headers:
            setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        return set(_native.otel_fields(self.propagation))


def context_with(baton: Baton, context: Context | None = None) -> Context:
    """Returns a context with a baton in it: spans that are started in it are its children.

    A baton without a span, as a legacy id is one, makes the next span a root with its trace id.
    """
    return _context(Carried(baton), context)


def baton_of(context: Context | None = None) -> Baton | None:
    """Returns what goes out with a context, the current one by default."""
    return _native.otel_baton(*_outgoing(context))


_Span = tuple[int, int, int, str]
_Pairs = list[tuple[str, object]]


def _outgoing(context: Context | None) -> tuple[Carried | None, _Span | None, _Pairs, bool]:
    """Returns what came in, the active span, the baggage, and whether that is all of it.

    Where only the span was made current, the baggage that came in is not in the context.
    """
    pairs = list(baggage.get_all(context).items())
    found = get_value(KEY, context)
    carried = found if isinstance(found, Carried) else None
    is_whole = carried is not None
    span = trace.get_current_span(context).get_span_context()
    if not span.is_valid:
        return carried, None, pairs, is_whole
    if isinstance(span.trace_id, TraceId):
        carried = span.trace_id.carried
    return carried, _plain(span), pairs, is_whole


def _plain(span: trace.SpanContext) -> _Span:
    return span.trace_id, span.span_id, span.trace_flags, span.trace_state.to_header()


def _context(carried: Carried, context: Context | None, hop: Hop | None = None) -> Context:
    """Returns a context with a baton in it: baggage, and the parent of the next span."""
    context = set_value(KEY, carried, Context() if context is None else context)
    if hop is not None:
        context = set_value(HOP_KEY, hop, context)
    for key, value in carried.baggage:
        context = baggage.set_baggage(key, value, context)
    if not carried.span_id:
        teach_sdk()
        has_trace = carried.trace_id != 0
        return trace.set_span_in_context(trace.INVALID_SPAN, context) if has_trace else context
    state = carried.tracestate
    span = trace.SpanContext(
        TraceId.of(carried.trace_id, carried),
        carried.span_id,
        is_remote=hop is None,
        trace_flags=trace.TraceFlags(carried.flags),
        trace_state=trace.TraceState.from_header([state]) if state else None,
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(span), context)
