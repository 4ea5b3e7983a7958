"""Messages that were read together: one hop, linked to the trace of each."""

import contextlib
from collections.abc import Callable

import pytest
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]


def message(offset: int, topic: str = "raw") -> Message:
    return Message([("traceparent", TRACEPARENT.encode())], topic=topic, offset=offset)


def by_offset(sink: Sink) -> dict[int, dict[str, int]]:
    found = events(sink, "process")
    return {event.attributes["messaging.kafka.offset"]: fates(event) for event in found}


def test_a_batch_costs_two_spans_and_one_event_whatever_its_size(exported: Exported) -> None:
    given = [message(n) for n in range(300)]
    with tracebaton.Batch(given, group="totals") as batch:
        assert (len(batch), batch.messages) == (300, given)
        assert tracebaton.current_hop() is batch.together()
        batch.together().set("shop", "berlin")
        total = batch.output("totals", value=300)
        assert total.baton.trace_id == batch.together().trace_id != TRACE
    assert tracebaton.current_hop() is None
    assert exported().events == [], "it has passed once its output is acknowledged"
    total.delivered(2, 9)
    sink = exported()
    spans = {span.raw.name: span for span in sink.spans}
    assert sorted(spans) == ["poll raw", "process raw", "send totals"]
    assert len(spans["process raw"].raw.links) == 128
    assert spans["process raw"].attributes["shop"] == "berlin"
    assert spans["process raw"].attributes["messaging.batch.message_count"] == 300
    (event,) = events(sink, "process")
    assert fates(event) == {"in": 300, "passed": 300, "emitted": 1}
    assert event.attributes["messaging.consumer.group.name"] == "totals"
    assert event.attributes["tracebaton.batch.traces"] == bytes.fromhex(TRACE) * 300


def test_each_partition_has_its_event(exported: Exported) -> None:
    with tracebaton.Batch([message(1), message(2, "other"), message(3)]):
        pass
    found = events(exported(), "process")
    passed = {e.attributes["messaging.destination.name"]: fates(e)["passed"] for e in found}
    assert passed == {"raw": 2, "other": 1}


def test_a_message_that_was_delivered_again_counts_once(exported: Exported) -> None:
    again = [message(n) for n in (1, 2, 1, 2, 3)]
    with tracebaton.Batch([*again, again[0]]) as batch:
        with batch.hop(again[3]) as hop:
            hop.filtered("a test order")
    assert by_offset(exported()) == {1: {"in": 2, "passed": 2}, 2: {"in": 1, "filtered": 1}}


def test_a_message_with_an_end_of_its_own_leaves_the_batch(exported: Exported) -> None:
    given = [message(n) for n in range(4)]
    with tracebaton.Batch(given) as batch:
        with batch.hop(given[0]) as hop:
            assert hop.trace_id == hop.extracted.trace_id == TRACE
            assert (hop.message, batch.together().message) == (given[0], None)
            hop.filtered("a test order")
        batch.hop(given[1]).dead_letter("raw.dlq", ValueError("bad")).delivered(0, 1)
        assert batch.hop(given[1]) is batch.hop(given[1])
        batch.hop(given[2]).output("out").delivered(0, 2)
    found = by_offset(exported())
    assert found == {
        0: {"in": 1, "filtered": 1},
        1: {"in": 1, "dead_lettered": 1, "emitted": 1},
        2: {"in": 1, "passed": 1, "emitted": 1},
        3: {"in": 1, "passed": 1},
    }


def test_an_exception_fails_what_is_left_of_the_batch(exported: Exported) -> None:
    given = [message(n) for n in range(4)]
    with pytest.raises(OSError), tracebaton.Batch(given) as batch:
        batch.hop(given[0]).filtered("a test order")
        batch.hop(given[1])
        raise OSError("down")
    assert tracebaton.current_hop() is None
    found = by_offset(exported())
    assert found == {
        0: {"in": 1, "filtered": 1},
        1: {"in": 1, "failed": 1},
        2: {"in": 2, "failed": 2},
    }


def test_the_hop_of_all_ends_with_the_batch(exported: Exported) -> None:
    with tracebaton.Batch([message(1)]) as batch:
        with batch.together() as hop:
            hop.end()
        assert exported().events == []
    (event,) = events(exported(), "process")
    assert fates(event) == {"in": 1, "passed": 1}


def test_what_is_left_of_a_batch_without_messages_is_nothing(exported: Exported) -> None:
    with tracebaton.Batch([]):
        assert tracebaton.current_hop() is None
    sink = exported()
    assert (sink.spans, sink.events) == ([], [])


def test_wrong_uses_are_told(exported: Exported) -> None:
    with tracebaton.Batch([message(1)]) as batch:
        with pytest.raises(ValueError, match="no message of the batch"):
            batch.hop(message(1))
        with pytest.raises(RuntimeError, match="hop.active"), batch:
            pass
    with pytest.raises(RuntimeError, match="the batch has ended"):
        batch.output("out")
    assert len(exported().events) == 1
    with pytest.raises(TypeError, match="is no Kafka message"):
        tracebaton.Batch([message(1), None])
    assert len(exported().events) == 1, "a batch with a mistake in it is none"


def test_a_finalizer_that_runs_while_a_hop_is_made_may_use_the_batch() -> None:
    given = [message(n) for n in range(2_000)]

    class Cycle:
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            with contextlib.suppress(RuntimeError):  # by then the batch may have ended
                batch.hop(given[0])

    with tracebaton.Batch(given) as batch:
        for one in given:
            Cycle()
            batch.hop(one).filtered("a test order")
