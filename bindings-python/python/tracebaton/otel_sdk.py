"""Ids and sampling for OpenTelemetry's SDK.

Needs `opentelemetry-sdk`. `OTEL_PYTHON_ID_GENERATOR=tracebaton` and `OTEL_TRACES_SAMPLER=tracebaton`
with `OTEL_TRACES_SAMPLER_ARG=0.1` choose them by name.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from opentelemetry.context import Context, get_value
from opentelemetry.sdk.trace import Tracer, TracerProvider, id_generator, sampling
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes, AttributeValue

from tracebaton import _native
from tracebaton._ids import KEY, TraceId, is_given, root_id
from tracebaton._native import Carried

__all__ = ["BatonIdGenerator", "BatonSampler", "sampler_of"]


class BatonIdGenerator(id_generator.IdGenerator):
    """Makes UUIDv7 trace ids, and gives the roots of legacy ids theirs.

    Their right-most 56 bits are random, as the W3C random flag says. `TraceIdRatioBased` looks at
    64 bits, two of which are the same in every UUIDv7: use `BatonSampler` with it.
    """

    def generate_span_id(self) -> int:
        return _native.otel_new_span_id()

    def generate_trace_id(self) -> int:
        return root_id(sys._getframe(1), _native.otel_new_trace_id)

    def is_trace_id_random(self) -> bool:
        return not is_given(sys._getframe(1))


class BatonSampler(sampling.Sampler):
    """Keeps a share of all new traces; a trace that is decided stays as it is.

    Every hop that has to decide decides alike, in every language (OpenTelemetry, "TraceState
    probability sampling").
    """

    def __init__(self, rate: float = 1.0) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate is not between 0 and 1: {rate}")
        self._rate = rate

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        parent = get_current_span(parent_context).get_span_context()
        state = parent.trace_state.to_header() if parent.is_valid else ""
        span = (parent.span_id, parent.trace_flags, state) if parent.is_valid else None
        found = get_value(KEY, parent_context)
        carried = trace_id.carried if isinstance(trace_id, TraceId) else found
        is_sampled, changed = _native.otel_sample(
            self._rate, trace_id, span, carried if isinstance(carried, Carried) else None
        )
        now = parent.trace_state if parent.is_valid else None
        if changed != state:
            now = TraceState.from_header([changed])
        if is_sampled:
            kept = sampling.Decision.RECORD_AND_SAMPLE
            return sampling.SamplingResult(kept, attributes, now)
        return sampling.SamplingResult(sampling.Decision.DROP, None, now)

    def get_description(self) -> str:
        return f"BatonSampler{{{self._rate}}}"


def sampler_of(rate: str | None) -> BatonSampler:
    """Makes the sampler that `OTEL_TRACES_SAMPLER=tracebaton` names, with its argument."""
    return BatonSampler(float(rate) if rate else 1.0)


_Ids = tuple[int, int, int, str]
_Finished = tuple[
    _Ids,
    tuple[int, bool] | None,
    str,
    int,
    tuple[int, int],
    dict[str, AttributeValue],
    list[tuple[int, int, int, dict[str, AttributeValue]]],
    str | None,
    tuple[str, str] | None,
]
# `Span.SpanKind` of OTLP, from 1 on.
_KINDS = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]


class _Given(id_generator.IdGenerator):
    """Gives the span that is started the ids it has already."""

    trace_id = 0
    span_id = 0
    is_random = False

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id

    def is_trace_id_random(self) -> bool:
        return self.is_random


def record_spans(spans: list[_Finished]) -> int:
    """Has the host's SDK record spans of hops that have ended; returns how many it took."""
    # Asked for each time: a provider may be registered later.
    provider = get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        _warn()
        return 0
    tracer = provider.get_tracer("tracebaton")
    if not isinstance(tracer, Tracer):  # OTEL_SDK_DISABLED
        return 0
    # A provider may keep its tracers by their names: the one of ours is used here alone.
    given = tracer.id_generator
    if not isinstance(given, _Given):
        given = tracer.id_generator = _Given()
    taken = 0
    for span in spans:
        try:
            _record(tracer, given, *span)
        except Exception:
            continue  # a processor or a sampler of the host's; what is not taken is counted
        taken += 1
    return taken


_has_warned = False


def _warn() -> None:
    """Says, once, that spans are lost, and what to do about it."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        text = (
            "no TracerProvider of opentelemetry-sdk is registered, so the spans of hops have nobody who "
            'records them: call opentelemetry.trace.set_tracer_provider before tracebaton.init(spans="host"), '
            "or leave `spans` out"
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def _record(
    tracer: Tracer,
    given: _Given,
    ids: _Ids,
    above: tuple[int, bool] | None,
    name: str,
    kind: int,
    times: tuple[int, int],
    attributes: dict[str, AttributeValue],
    links: list[tuple[int, int, int, dict[str, AttributeValue]]],
    error: str | None,
    exception: tuple[str, str] | None,
) -> None:
    given.trace_id, given.span_id, flags, tracestate = ids
    given.is_random = flags & 2 != 0
    context = Context()
    if above is not None:
        state = TraceState.from_header([tracestate])
        parent = SpanContext(given.trace_id, above[0], above[1], TraceFlags(flags), state)
        context = set_span_in_context(NonRecordingSpan(parent), context)
    linked = [
        Link(SpanContext(trace_id, span_id, True, TraceFlags(bits)), told)
        for trace_id, span_id, bits, told in links
    ]
    start, end = times
    span = tracer.start_span(name, context, _KINDS[kind - 1], attributes, linked, start)
    if exception is not None:
        told = {"exception.type": exception[0], "exception.message": exception[1]}
        span.add_event("exception", told, end)
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(end)
