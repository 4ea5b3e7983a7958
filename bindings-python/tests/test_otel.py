"""The OpenTelemetry propagator, with the real SDK making the spans in between."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import tracebaton
from conftest import PARENT, TRACE, TRACEPARENT
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from tracebaton.otel import BatonPropagator, baton_of, context_with

Headers = dict[str, Any]


class Sdk:
    """An SDK whose spans are kept in memory."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def relay(self, incoming: Any, outgoing: Any = None, **options: Any) -> Any:
        """Takes a request in, starts a span, and returns the headers of a request out."""
        outgoing = {} if outgoing is None else outgoing
        propagator = BatonPropagator()
        cx = propagator.extract(incoming, **options)
        with self.tracer.start_as_current_span("work", context=cx):
            propagator.inject(outgoing)
        return outgoing


@pytest.fixture
def sdk() -> Iterator[Sdk]:
    sdk = Sdk()
    yield sdk
    sdk.provider.shutdown()


def test_a_span_of_the_sdk_is_the_child_of_what_came_in(sdk: Sdk) -> None:
    out = sdk.relay({"traceparent": TRACEPARENT})
    (span,) = sdk.spans
    assert span.parent is not None and span.context is not None
    assert (format(span.parent.span_id, "016x"), span.parent.is_remote) == (PARENT, True)
    own = format(span.context.span_id, "016x")
    assert out == {"traceparent": f"00-{TRACE}-{own}-03", "x-trace-id": TRACE}


def test_state_of_level_2_goes_through(sdk: Sdk, caplog: pytest.LogCaptureFixture) -> None:
    state = "foo@@bar=1,0digit=2,plain=3," + "k" * 256 + "=4"
    assert sdk.relay({"traceparent": TRACEPARENT, "tracestate": state})["tracestate"] == state
    assert caplog.records == [], "OpenTelemetry is not given what it would complain about"
    (span,) = sdk.spans
    assert span.context is not None
    assert list(span.context.trace_state) == ["plain", "k" * 256]


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_flags_are_neither_lost_nor_invented(flags: str) -> None:
    incoming = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"}
    assert Sdk().relay(incoming)["traceparent"].endswith(f"-{flags}")
    dropped = Sdk(ALWAYS_OFF).relay(incoming)["traceparent"]
    assert int(dropped[-2:], 16) == int(flags, 16) & 0b10


def test_without_a_span_what_came_in_goes_out() -> None:
    incoming = {"traceparent": TRACEPARENT, "tracestate": "a@@b=1", "baggage": "k=v;p=1"}
    out: Headers = {}
    BatonPropagator().inject(out, BatonPropagator().extract(incoming))
    assert out == incoming | {"x-trace-id": TRACE}


def test_nothing_comes_out_of_nothing() -> None:
    out: Headers = {}
    cx = BatonPropagator().extract({"traceparent": "00-nonsense"})
    assert cx == {}
    BatonPropagator().inject(out, cx)
    assert out == {}
    assert baton_of(cx) is None


def test_a_legacy_id_begins_with_a_root_span_that_has_it(sdk: Sdk) -> None:
    out = sdk.relay({"X-Trace-Id": "order-1234"})
    mapped = tracebaton.extract([("trace_id", "order-1234")]).trace_id
    (span,) = sdk.spans
    assert span.parent is None and span.context is not None
    assert format(span.context.trace_id, "032x") == mapped
    own = format(span.context.span_id, "016x")
    assert out == {"traceparent": f"00-{mapped}-{own}-01", "x-trace-id": "order-1234"}
    assert not span.context.trace_flags & 2, "a mapped id is not random"


def test_a_legacy_id_holds_where_the_context_is_attached(sdk: Sdk) -> None:
    token = context.attach(BatonPropagator().extract({"x-trace-id": "order-1"}))
    try:
        with sdk.tracer.start_as_current_span("root"):
            with sdk.tracer.start_as_current_span("child"):
                pass
    finally:
        context.detach(token)
    with sdk.tracer.start_as_current_span("later"):
        pass
    child, root, later = sdk.spans
    assert root.context is not None and child.parent == root.context
    assert root.parent is None
    assert later.context is not None and later.context.trace_id != root.context.trace_id
    assert later.context.trace_flags == 3, "an id of the SDK's own is random"


def test_the_root_of_a_legacy_id_is_sampled_as_a_root() -> None:
    sdk = Sdk(ParentBased(root=ALWAYS_OFF))
    out = sdk.relay({"x-trace-id": "order-1"})
    assert out["traceparent"].endswith("-00")
    assert out["x-trace-id"] == "order-1"
    assert sdk.spans == ()


def test_a_legacy_id_puts_an_outer_span_aside(sdk: Sdk) -> None:
    with sdk.tracer.start_as_current_span("outer"):
        out = sdk.relay({"x-trace-id": "order-1"}, context=context.get_current())
    assert out["x-trace-id"] == "order-1"


def test_baggage_is_opentelemetrys_too(sdk: Sdk) -> None:
    propagator = BatonPropagator()
    cx = propagator.extract({"baggage": "user=al%20ice;ttl=3,shop=berlin,gone=1"})
    assert dict(baggage.get_all(cx)) == {"user": "al ice", "shop": "berlin", "gone": "1"}
    cx = baggage.set_baggage("shop", "paris", baggage.remove_baggage("gone", cx))
    cx = baggage.set_baggage("count", 7, baggage.set_baggage("no token", "x", cx))
    out: Headers = {}
    propagator.inject(out, cx)
    assert out == {"baggage": "user=al%20ice;ttl=3,shop=paris,count=7"}


def test_what_a_sampler_writes_into_the_state_goes_out(sdk: Sdk) -> None:
    cx = BatonPropagator().extract({"traceparent": TRACEPARENT, "tracestate": "a@@b=1,c=2"})
    span = trace.get_current_span(cx).get_span_context()
    state = span.trace_state.add("ot", "th:8")
    changed = trace.SpanContext(span.trace_id, 7, False, span.trace_flags, state)
    out: Headers = {}
    cx = trace.set_span_in_context(trace.NonRecordingSpan(changed), cx)
    BatonPropagator().inject(out, cx)
    assert out["tracestate"] == "ot=th:8,c=2,a@@b=1"


class Pairs(Getter[list[tuple[str, bytes]]], Setter[list[tuple[str, bytes]]]):
    """How Kafka instrumentations read and write a list of headers."""

    def get(self, carrier: list[tuple[str, bytes]], key: str) -> list[str] | None:
        values = [value.decode() for name, value in carrier if name == key]
        return values or None

    def keys(self, carrier: list[tuple[str, bytes]]) -> list[str]:
        return [name for name, _ in carrier]

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


def test_lists_of_kafka_headers_do_not_pile_up(sdk: Sdk) -> None:
    headers = [("traceparent", b"00-old"), ("shop", b"berlin"), ("trace_id", b"order-1")]
    headers.append(("traceparent", TRACEPARENT.encode()))
    propagator = BatonPropagator()
    cx = propagator.extract(headers, getter=Pairs())
    with sdk.tracer.start_as_current_span("send", context=cx):
        propagator.inject(headers, setter=Pairs())
        propagator.inject(headers, setter=Pairs())
    assert [name for name, _ in headers] == ["shop", "traceparent", "trace_id"]
    assert dict(headers)["trace_id"] == b"order-1"
    assert dict(headers)["traceparent"].startswith(f"00-{TRACE}-".encode())


class Doubled(Getter[dict[str, list[Any]]]):
    """A getter as aiohttp's is: without case, and its keys are of something else."""

    def get(self, carrier: dict[str, list[Any]], key: str) -> list[str] | None:
        found = carrier.get(key.lower())
        return None if found is None else [value.strip() for value in found]

    def keys(self, carrier: dict[str, list[Any]]) -> list[str]:
        return []


def test_a_doubled_traceparent_restarts_and_doubled_state_is_one_list(sdk: Sdk) -> None:
    twice = {"traceparent": [TRACEPARENT, TRACEPARENT.replace("0af7", "1af7")]}
    assert BatonPropagator().extract(twice, getter=Doubled()) == {}
    incoming = {"traceparent": [TRACEPARENT], "tracestate": ["a=1", "b=2"]}
    assert sdk.relay(incoming, getter=Doubled())["tracestate"] == "a=1,b=2"


def test_a_getter_that_raises_for_a_value_has_none_there(sdk: Sdk) -> None:
    odd = {"traceparent": [TRACEPARENT], "tracestate": [7], "baggage": ["a=1"]}
    out = sdk.relay(odd, getter=Doubled())
    assert out["traceparent"].startswith(f"00-{TRACE}-")
    assert "tracestate" not in out


def test_odd_carriers_are_no_failure(sdk: Sdk) -> None:
    odd: dict[Any, Any] = {"traceparent": 7, "x": None, "tracestate": [None, 7, b"a=1"], "": "", 7: ""}
    odd["x-trace-id"] = "\udcff"
    for carrier in (odd, {}, [("traceparent", None)], [("traceparent", b"\xff")]):
        assert BatonPropagator().extract(carrier) == {}
    huge = {f"x-baggage-{n}": "\r\n\x1b" * 100 for n in range(10_000)}
    out = sdk.relay(huge | {"traceparent": "x" * 1_000_000})
    assert "baggage" not in out


TEXTS = st.text(st.characters(codec=None)) | st.binary()
ODD = st.none() | TEXTS | st.integers()
NAMES = TEXTS | st.integers() | st.sampled_from(["traceparent", "baggage", "X-Trace-Id"])


@given(st.dictionaries(NAMES, ODD | st.lists(ODD)) | st.lists(st.tuples(NAMES, ODD) | ODD))
def test_any_carrier_is_read(carrier: Any) -> None:
    propagator = BatonPropagator()
    contexts = [propagator.extract(carrier, getter=Pairs())]
    if isinstance(carrier, dict):
        contexts.append(propagator.extract(carrier))
    out: Headers = {}
    for cx in contexts:
        propagator.inject(out, cx)
    assert all("\r" not in value and "\n" not in value for value in out.values())


def test_fields_are_what_may_be_written() -> None:
    assert BatonPropagator().fields == {"traceparent", "tracestate", "baggage", "x-trace-id"}
    own = BatonPropagator(tracebaton.Propagation(write=["b3"]))
    assert own.fields == {"b3"}


def test_a_baton_goes_into_a_context_and_comes_out(sdk: Sdk) -> None:
    baton = tracebaton.extract([("traceparent", TRACEPARENT), ("tracestate", "a@@b=1")]).baton
    cx = context_with(baton)
    assert baton_of(cx) == baton
    with sdk.tracer.start_as_current_span("work", context=cx):
        now = baton_of()
    assert now is not None
    assert (now.trace_id, now.tracestate) == (TRACE, "a@@b=1")
    assert now.span_id != PARENT


def test_a_span_context_can_be_pickled(sdk: Sdk) -> None:
    cx = BatonPropagator().extract({"traceparent": TRACEPARENT})
    span = trace.get_current_span(cx).get_span_context()
    assert pickle.loads(pickle.dumps(span)) == span


def run(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_environment_chooses_the_propagator() -> None:
    code = "from opentelemetry.propagate import get_global_textmap as g; print(g()._propagators)"
    assert "tracebaton.otel.BatonPropagator" in run(code, OTEL_PROPAGATORS="tracebaton")


def test_opentelemetry_is_not_imported_unless_it_is_used() -> None:
    code = "import sys, tracebaton; print([m for m in sys.modules if 'opentelemetry' in m])"
    assert run(code) == "[]"
