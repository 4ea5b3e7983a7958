"""tracebaton as an OpenTelemetry propagator: `OTEL_PROPAGATORS=tracebaton`.

Needs `opentelemetry-api`. What comes in travels beside OpenTelemetry's own values, because those
cannot hold all of it; what goes out is put right again.
"""

from __future__ import annotations

from opentelemetry import baggage, trace
from opentelemetry.context import get_value
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


def _context(
    carried: Carried, context: Context | None, hop: Hop | None = None, is_remote: bool = True
) -> Context:
    """Returns a context with a baton in it: baggage, and the parent of the next span."""
    values: dict[str, object] = {} if context is None else dict(context)
    values[KEY] = carried
    if hop is not None:
        values[HOP_KEY] = hop
    if pairs := carried.baggage:
        known = {} if context is None else baggage.get_all(context)
        values[_BAGGAGE_KEY] = {**known, **dict(pairs)}
    trace_id, span_id = carried.trace_id, carried.span_id
    if span_id:
        state = carried.tracestate
        span = trace.SpanContext(
            TraceId.of(trace_id, carried),
            span_id,
            is_remote,
            _FLAGS[carried.flags],
            trace.TraceState.from_header([state]) if state else None,
        )
        values[_SPAN_KEY] = trace.NonRecordingSpan(span)
    else:
        teach_sdk()
        if trace_id:
            values[_SPAN_KEY] = trace.INVALID_SPAN
    return Context(values)


def _only_key(context: Context) -> str:
    (key,) = context
    return key


# OpenTelemetry's own keys, as it makes them: to set its values one by one copies the context each time.
_BAGGAGE_KEY = _only_key(baggage.set_baggage("key", "value", Context()))
_SPAN_KEY = _only_key(trace.set_span_in_context(trace.INVALID_SPAN, Context()))
_FLAGS = [trace.TraceFlags(bits) for bits in range(4)]
