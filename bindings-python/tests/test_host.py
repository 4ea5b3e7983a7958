"""The host's own OpenTelemetry nests below our hops, and log lines know its spans."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from sink import Sink
from test_otel import Sdk
from tracebaton.otel import BatonPropagator

TRACED = [("traceparent", TRACEPARENT.encode()), ("tracestate", b"a@@b=1,c=2")]


def hex_id(span_id: int) -> str:
    return format(span_id, "016x")


def test_a_span_of_the_host_is_a_child_of_the_hop() -> None:
    sdk = Sdk()
    outside = context.get_current()
    with tracebaton.process(Message(TRACED)) as hop:
        with sdk.tracer.start_as_current_span("query"):
            out: dict[str, str] = {}
            BatonPropagator().inject(out)
    (span,) = sdk.spans
    assert span.parent is not None and span.context is not None
    assert hex_id(span.parent.span_id) == hop.span_id
    assert not span.parent.is_remote
    own = hex_id(span.context.span_id)
    assert out["traceparent"] == f"00-{TRACE}-{own}-03"
    assert out["tracestate"] == "a@@b=1,c=2"
    assert context.get_current() is outside


def test_without_an_sdk_requests_carry_the_hop() -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        out: dict[str, str] = {}
        inject(out)
    assert out["traceparent"] == f"00-{TRACE}-{hop.span_id}-03"


def test_the_hosts_own_context_stays_in_it() -> None:
    token = context.attach(context.set_value("mine", 1))
    try:
        headers = [*TRACED, ("baggage", b"user=alice")]
        with tracebaton.process(Message(headers)):
            current = context.get_current()
            assert context.get_value("mine") == 1
            assert baggage.get_baggage("user") == "alice"
            assert "mine" in current and current["mine"] == 1
            assert len(current) == len(list(current)) == len(current.copy())
            assert trace.get_current_span().get_span_context().is_valid
        assert context.get_value("mine") == 1
        assert baggage.get_baggage("user") is None
    finally:
        context.detach(token)


def test_tasks_and_threads_nest_in_their_own_hops() -> None:
    sdk = Sdk()

    def child(hop: tracebaton.Hop) -> None:
        with sdk.tracer.start_as_current_span("child") as span:
            parent: Any = getattr(span, "parent")
            assert hex_id(parent.span_id) == hop.span_id

    async def work(_: int) -> None:
        with tracebaton.process(Message(TRACED)) as hop:
            await asyncio.sleep(0)
            child(hop)
            await asyncio.to_thread(child, hop)

    async def main() -> None:
        await asyncio.gather(*map(work, range(100)))

    asyncio.run(main())
    assert len(sdk.spans) == 200

    def with_hop(hop: tracebaton.Hop) -> None:
        with hop.active():
            child(hop)

    with tracebaton.process(Message(TRACED)) as hop:
        thread = threading.Thread(target=with_hop, args=(hop,))
        thread.start()
        thread.join()
    assert len(sdk.spans) == 201


def test_a_log_line_names_the_hosts_span(
    exported: Callable[[], Sink], capsys: pytest.CaptureFixture[str]
) -> None:
    sdk, log = Sdk(), tracebaton.Logger()
    with sdk.tracer.start_as_current_span("outside") as outside:
        log.info("outside")
        with tracebaton.process(Message(TRACED)) as hop:
            log.info("hop")
            with sdk.tracer.start_as_current_span("inside") as inside:
                log.info("inside")
    log.info("after")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("span_id") for line in lines] == [
        hex_id(outside.get_span_context().span_id),
        hop.span_id,
        hex_id(inside.get_span_context().span_id),
        None,
    ]
    assert len(exported().logs) == 4


def test_filters_and_structlog_know_the_hosts_span() -> None:
    sdk = Sdk()
    record = logging.makeLogRecord({})
    with sdk.tracer.start_as_current_span("outside") as outside:
        tracebaton.LogFilter().filter(record)
        event = tracebaton.structlog_ids(None, "info", {"event": "x"})
    own = hex_id(outside.get_span_context().span_id)
    assert vars(record)["span_id"] == event["span_id"] == own
    assert vars(record)["legacy_id"] == "" and "legacy_id" not in event


def test_the_hosts_context_is_one_however_it_is_looked_at() -> None:
    with tracebaton.process(Message(TRACED)):
        current = context.get_current()
        assert isinstance(current, Context)
        assert dict(current) == {**current} == Context(current) == current.copy()
        assert current == dict(current)
        assert "LazyContext" in type(current).__name__


def test_a_hop_is_lazy_for_a_host_that_does_not_look() -> None:
    with tracebaton.process(Message(TRACED)):
        assert "LazyContext" in type(context.get_current()).__name__
