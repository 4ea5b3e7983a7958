"""Batches on their way into a table: one span an attempt, one ledger event a partition."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from opentelemetry import trace
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]


def message(offset: int, topic: str = "raw") -> Message:
    return Message([("traceparent", TRACEPARENT.encode())], topic=topic, offset=offset)


def by_offset(sink: Sink) -> dict[int, dict[str, int]]:
    found = events(sink, "insert")
    return {event.attributes["messaging.kafka.offset"]: fates(event) for event in found}


def test_a_batch_passes_when_its_block_is_left(exported: Exported) -> None:
    with tracebaton.insert("raw_events", group="sink") as batch:
        for offset in (4, 5, 5):
            batch.add(message(offset))
        batch.add(message(1, "other"))
        assert len(batch) == 3, "what is added again counts once"
        name = batch.batch_id
    assert (len(batch), batch.batch_id) == (0, name)
    sink = exported()
    (span,) = sink.spans
    assert span.raw.name == "INSERT raw_events"
    assert span.trace_id == batch.trace_id == name != TRACE
    assert span.span_id == batch.baton.span_id
    assert span.attributes["db.operation.batch.size"] == 3
    assert {bytes(link.trace_id).hex() for link in span.raw.links} == {TRACE}
    found = {event.attributes["messaging.destination.name"]: event for event in events(sink, "insert")}
    raw, other = found["raw"].attributes, found["other"].attributes
    assert fates(found["raw"]) == {"in": 2, "passed": 2}
    assert fates(found["other"]) == {"in": 1, "passed": 1}
    assert (raw["messaging.kafka.offset"], raw["tracebaton.offset.last"]) == (4, 5)
    assert raw["tracebaton.batch.traces"] == bytes.fromhex(TRACE) * 2
    for attributes in (raw, other):
        assert attributes["tracebaton.hop.name"] == "raw_events"
        assert attributes["tracebaton.batch.id"] == name
        assert attributes["messaging.consumer.group.name"] == "sink"


def test_what_is_taken_out_without_a_word_has_failed(exported: Exported) -> None:
    with tracebaton.insert("raw_events") as batch:
        batch.add(message(1))
        batch.take_out(message(2))
        batch.take_out(message(3)).filtered("a test order")
        batch.add(message(3))
        assert repr(batch) == f"<tracebaton.Insert {batch.batch_id} of 1>"
    sink = exported()
    assert by_offset(sink) == {
        1: {"in": 1, "passed": 1},
        2: {"in": 1, "failed": 1},
        3: {"in": 1, "filtered": 1},
    }
    (event,) = [one for one in events(sink, "insert") if fates(one) == {"in": 1, "failed": 1}]
    assert event.attributes["tracebaton.reason"] == "taken out of its batch, and nothing was said of it"


def test_an_exception_fails_the_batch_and_is_raised_as_it_is(exported: Exported) -> None:
    raised = OSError("no such table")
    with pytest.raises(OSError) as caught, tracebaton.insert("raw_events") as batch:
        batch.add(message(1))
        batch.take_out(message(2)).filtered("a test order")
        batch.take_out(message(3))
        raise raised
    assert caught.value is raised
    sink = exported()
    assert by_offset(sink) == {
        1: {"in": 1, "failed": 1},
        2: {"in": 1, "filtered": 1},
        3: {"in": 1, "failed": 1},
    }
    (event,) = (event for event in events(sink, "insert") if event.trace_id == batch.trace_id)
    assert event.attributes["error.type"] == "OSError"
    assert event.attributes["tracebaton.reason"] == "no such table"


def test_a_record_that_is_taken_out_has_a_hop_of_its_own(exported: Exported) -> None:
    with tracebaton.insert("raw_events", group="sink") as batch:
        for offset in range(3):
            batch.add(message(offset))
        one = message(1)
        hop = batch.take_out(one)
        assert hop.trace_id == TRACE and hop.message is one
        assert batch.take_out(message(1)) is hop, "a record has one hop"
        hop.filtered("a test order")
        dead = batch.take_out(message(9)).dead_letter("raw.dlq", ValueError("bad"))
        dead.delivered(0, 1)
        assert len(batch) == 2
    sink = exported()
    assert by_offset(sink) == {
        0: {"in": 2, "passed": 2},
        1: {"in": 1, "filtered": 1},
        9: {"in": 1, "dead_lettered": 1, "emitted": 1},
    }
    names = {event.attributes["tracebaton.batch.id"] for event in events(sink, "insert")}
    assert names == {batch.batch_id}


def test_each_attempt_has_its_span_and_the_records_wait(exported: Exported) -> None:
    log = tracebaton.Logger("sink")
    with tracebaton.process(message(0)) as hop, tracebaton.insert("raw_events") as batch:
        batch.add(message(1))
        log.info("first")
        batch.blocked(TimeoutError("no server"))
        log.info("second")
        assert tracebaton.current_hop() is hop, "a batch is no hop"
    assert tracebaton.current_hop() is None
    sink = exported()
    attempts = [span for span in sink.spans if span.raw.name == "INSERT raw_events"]
    assert [line.span_id for line in sink.logs] == [span.span_id for span in attempts]
    assert len({span.span_id for span in attempts}) == 2
    assert {span.trace_id for span in attempts} == {batch.trace_id}
    blocked, passed = events(sink, "insert")
    assert fates(blocked) == {"in": 1}
    assert blocked.attributes["error.type"] == "TimeoutError"
    assert fates(passed) == {"in": 1, "passed": 1}
    assert passed.attributes["tracebaton.attempt"] == 2


def test_the_hosts_spans_are_below_the_attempt() -> None:
    def current() -> trace.SpanContext:
        return trace.get_current_span().get_span_context()

    with tracebaton.insert("raw_events") as batch:
        first, told = current(), batch.baton.span_id
        assert f"{first.span_id:016x}" == told
        assert f"{first.trace_id:032x}" == batch.trace_id
        assert not first.is_remote
        batch.blocked("Timeout")
        assert f"{current().span_id:016x}" == batch.baton.span_id != told
    assert not current().is_valid


def test_without_a_block_somebody_says_what_became_of_it(exported: Exported) -> None:
    batch = tracebaton.insert("raw_events", batch_id="raw-3-1")
    batch.add(message(1))
    assert batch.batch_id == "raw-3-1"
    batch.batch_id = "raw-3-1-1"
    batch.take_out(message(2)).filtered("a test order")
    batch.passed()
    batch.failed("Late", "too late")
    batch.blocked("Late", "too late")
    other = tracebaton.insert("raw_events")
    other.add(message(5))
    other.failed("Refused", "no such column")
    tracebaton.insert("raw_events").passed()
    sink = exported()
    assert by_offset(sink) == {
        1: {"in": 1, "passed": 1},
        2: {"in": 1, "filtered": 1},
        5: {"in": 1, "failed": 1},
    }
    assert len(sink.spans) == 3
    (event,) = (event for event in events(sink, "insert") if event.trace_id == batch.trace_id)
    assert event.attributes["tracebaton.batch.id"] == "raw-3-1-1"


def test_what_nobody_said_anything_about_is_pending(exported: Exported) -> None:
    batch = tracebaton.insert("raw_events")
    batch.add(message(1))
    batch.take_out(message(2))
    batch.take_out(message(3)).filtered("a test order")
    batch.take_out(message(4)).failed(ValueError("bad"))
    dead = batch.take_out(message(5)).dead_letter("raw.dlq", ValueError("bad"))
    kept = batch.take_out(message(6))
    del batch
    gc.collect()
    kept.filtered("too late: it has ended with its batch")
    dead.delivered(0, 1)
    sink = exported()
    assert not any("tracebaton.outputs.unconfirmed" in event.attributes for event in sink.events)
    assert by_offset(sink) == {
        1: {"in": 1},
        2: {"in": 1},
        3: {"in": 1, "filtered": 1},
        4: {"in": 1, "failed": 1},
        5: {"in": 1, "dead_lettered": 1, "emitted": 1},
        6: {"in": 1},
    }


@pytest.mark.parametrize("given", [None, b"x", 3, object()])
def test_what_is_no_message_is_told_and_changes_nothing(exported: Exported, given: Any) -> None:
    with tracebaton.insert("raw_events") as batch:
        batch.add(message(1))
        for method in (batch.add, batch.take_out):
            with pytest.raises(TypeError, match="is no Kafka message"):
                method(given)
        assert len(batch) == 1
    assert by_offset(exported()) == {1: {"in": 1, "passed": 1}}


def test_wrong_uses_are_told() -> None:
    with tracebaton.insert("raw_events") as batch:
        with pytest.raises(RuntimeError, match="entered already"), batch:
            pass
    for use in (batch.add, batch.take_out):
        with pytest.raises(RuntimeError, match="the batch has ended"):
            use(message(1))
    with pytest.raises(RuntimeError, match="the batch has ended"):
        batch.batch_id = "late"
    with pytest.raises(TypeError):
        batch.batch_id = 7  # type: ignore[assignment]
