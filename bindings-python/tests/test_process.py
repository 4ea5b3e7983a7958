"""What happens to one message: its span, its ledger event, and what was made of it."""

from collections.abc import Callable
from typing import Any

import pytest
import tracebaton
from conftest import PARENT, TRACE, TRACEPARENT, Message
from sink import Record, Sink, plain

Exported = Callable[[], Sink]
TRACED = [("traceparent", TRACEPARENT.encode())]


def fates(event: Record) -> dict[str, int]:
    """Returns the counts of a ledger event that are not zero."""
    start = "tracebaton.records."
    pairs = event.attributes.items()
    return {key.removeprefix(start): value for key, value in pairs if key.startswith(start)}


def events(sink: Sink, kind: str) -> list[Record]:
    return [one for one in sink.events if one.attributes["tracebaton.hop.kind"] == kind]


def test_a_message_is_a_span_and_a_ledger_event(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED), group="billing") as hop:
        assert hop.trace_id == TRACE
        assert hop.extracted.span_id == PARENT
        hop.set("order.lines", 3)
    sink = exported()
    (span,) = sink.spans
    assert (span.raw.name, span.trace_id, span.span_id) == ("process raw", TRACE, hop.span_id)
    assert span.raw.parent_span_id.hex() == PARENT
    assert span.raw.kind == 5, "CONSUMER"
    assert span.attributes["messaging.destination.partition.id"] == "3"
    assert span.attributes["messaging.kafka.offset"] == 7
    assert span.attributes["messaging.consumer.group.name"] == "billing"
    assert span.attributes["order.lines"] == 3
    (event,) = sink.events
    assert event.raw.event_name == "tracebaton.hop"
    assert (event.trace_id, event.span_id) == (TRACE, hop.span_id)
    assert fates(event) == {"in": 1, "passed": 1}
    assert event.attributes["messaging.kafka.offset"] == 7
    assert event.resource["service.name"] == "python-tests"
    assert event.resource["telemetry.sdk.language"] == "python"
    assert event.resource["deployment.environment.name"] == "test"


def test_a_legacy_id_is_a_root_with_that_trace_id(exported: Exported) -> None:
    with tracebaton.process(Message([("trace_id", b"order-1234")])) as hop:
        assert hop.legacy_id == "order-1234"
        output = hop.output("out")
        output.delivered(0, 1)
    headers = dict(output.headers)
    (span,) = (one for one in exported().spans if one.span_id == hop.span_id)
    assert span.raw.parent_span_id == b""
    assert span.trace_id == hop.trace_id == hop.extracted.trace_id
    assert headers["trace_id"] == b"order-1234"


def test_a_message_without_headers_starts_a_trace(exported: Exported) -> None:
    with tracebaton.process(Message(None)) as hop:
        pass
    (span,) = exported().spans
    assert (span.trace_id, span.raw.parent_span_id) == (hop.trace_id, b"")
    assert hop.extracted.source is None


def test_fan_out_gives_each_message_its_own_span(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        one, two = hop.output("out"), hop.output("out")
    assert one.baton.trace_id == two.baton.trace_id == TRACE
    assert len({hop.span_id, one.baton.span_id, two.baton.span_id}) == 3
    assert exported().events == [], "nothing is settled before the broker has both"
    one.delivered(0, 11)
    assert exported().events == []
    two.delivered(0, 12)
    sink = exported()
    (processed,), (sent,) = events(sink, "process"), events(sink, "send")
    assert fates(processed) == {"in": 1, "passed": 1, "emitted": 2}
    assert fates(sent) == {"in": 2, "passed": 2, "emitted": 2}
    assert sent.attributes["messaging.kafka.offset"] == 11
    assert sent.attributes["tracebaton.offset.last"] == 12
    sends = [span for span in sink.spans if span.raw.name == "send out"]
    assert {span.span_id for span in sends} == {one.baton.span_id, two.baton.span_id}
    assert {span.raw.parent_span_id.hex() for span in sends} == {hop.span_id}


def test_a_filtered_message_says_why(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        hop.filtered("heartbeat")
    (event,) = exported().events
    assert fates(event) == {"in": 1, "filtered": 1}
    assert event.attributes["tracebaton.reason"] == "heartbeat"


def test_words_may_quote_what_is_no_valid_text(exported: Exported) -> None:
    said = "no \ud800"
    hops = [tracebaton.process(Message(TRACED)) for _ in range(5)]
    hops[0].set(said, said)
    hops[0].filtered(said)
    hops[1].failed("ValueError", said)
    hops[2].dead_lettered("ValueError", said)
    hops[3].output("out").undelivered("ValueError", said)
    hops[4].failed(ValueError(said))
    batch = tracebaton.insert("raw_events")
    batch.add(Message(TRACED))
    batch.blocked("ValueError", said)
    batch.failed("ValueError", said)
    for hop in hops:
        hop.end()
    events = [event for event in exported().events if "tracebaton.reason" in event.attributes]
    shown = "no \ufffd\ufffd\ufffd"
    assert {event.attributes["tracebaton.reason"] for event in events} == {shown}
    assert {event.attributes["tracebaton.hop.kind"] for event in events} == {"process", "send", "insert"}


def test_an_exception_is_the_messages_failure_and_is_raised_on(exported: Exported) -> None:
    mine = ValueError("no such currency")
    with pytest.raises(ValueError) as told, tracebaton.process(Message(TRACED)):
        raise mine
    assert told.value is mine
    sink = exported()
    (event,) = sink.events
    assert fates(event) == {"in": 1, "failed": 1}
    assert event.attributes["error.type"] == "ValueError"
    assert event.attributes["tracebaton.reason"] == "no such currency"
    (span,) = sink.spans
    assert (span.raw.status.code, span.raw.status.message) == (2, "no such currency")
    (recorded,) = span.raw.events
    assert recorded.name == "exception"
    assert plain(recorded.attributes) == {
        "exception.type": "ValueError",
        "exception.message": "no such currency",
    }


def test_an_exception_without_a_text_is_recorded_too(exported: Exported) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    with pytest.raises(Silent), tracebaton.process(Message(TRACED)):
        raise Silent
    (event,) = exported().events
    assert event.attributes["error.type"].endswith("Silent")


def test_a_dead_letter_carries_the_context_and_the_reason(exported: Exported) -> None:
    given = [*TRACED, ("shop", b"berlin"), ("tracebaton-error-type", b"old")]
    with tracebaton.process(Message(given)) as hop:
        hop.dead_lettered(ValueError("bad\x1b[31m\r\nline"))
        dead = hop.output("raw.dlq", given)
    assert [name for name, _ in dead.headers] == [
        "shop",
        "traceparent",
        "trace_id",
        "tracebaton-error-hop",
        "tracebaton-error-type",
        "tracebaton-error-message",
    ]
    headers = dict(dead.headers)
    assert headers["traceparent"] == f"00-{TRACE}-{dead.baton.span_id}-03".encode()
    assert headers["tracebaton-error-hop"] == b"process raw"
    assert headers["tracebaton-error-type"] == b"ValueError"
    assert headers["tracebaton-error-message"] == b"bad [31m  line"
    dead.delivered(1, 5)
    sink = exported()
    (processed,), (sent,) = events(sink, "process"), events(sink, "send")
    assert fates(processed) == {"in": 1, "dead_lettered": 1, "emitted": 1}
    assert sent.attributes["tracebaton.dead_letter"] is True


def test_of_an_exception_without_a_text_a_dead_letter_names_the_type_alone() -> None:
    with tracebaton.process(Message()) as hop:
        headers = dict(hop.dead_letter("raw.dlq", KeyError()).headers)
    assert headers["tracebaton-error-type"] == b"KeyError"
    assert headers["tracebaton-error-message"] == b""


def test_an_exception_after_a_dead_letter_leaves_its_fate(exported: Exported) -> None:
    with pytest.raises(KeyError), tracebaton.process(Message(TRACED)) as hop:
        hop.dead_lettered("MyError", "told before")
        hop.output("raw.dlq").delivered(0, 1)
        raise KeyError("later")
    (event,) = events(exported(), "process")
    assert fates(event) == {"in": 1, "dead_lettered": 1, "emitted": 1}
    assert event.attributes["error.type"] == "MyError"


def test_a_refused_output_fails_the_message(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        good, bad = hop.output("out"), hop.output("out")
    good.delivered(0, 1)
    bad.undelivered(TimeoutError("no answer"))
    assert (good.is_delivered, bad.is_delivered) == (True, False)
    sink = exported()
    (processed,) = events(sink, "process")
    assert fates(processed) == {"in": 1, "failed": 1, "emitted": 1}
    assert processed.attributes["error.type"] == "TimeoutError"
    assert sorted(fates(one).get("failed", 0) for one in events(sink, "send")) == [0, 1]


def test_what_nobody_confirms_is_said_to_be_unconfirmed(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        hop.output("out")
    del hop
    (event,) = events(exported(), "process")
    assert event.attributes["tracebaton.outputs.unconfirmed"] == 1
    assert fates(event) == {"in": 1, "passed": 1, "emitted": 1}


def test_an_exception_settles_the_message_at_once_whatever_is_still_open(
    exported: Exported,
) -> None:
    with pytest.raises(TypeError), tracebaton.process(Message(TRACED)) as hop:
        kept = hop.output("out")
        hop.headers("out")
        raise TypeError("no such value")
    sink = exported()
    (event,) = sink.events
    assert fates(event) == {"in": 1, "failed": 1, "emitted": 2}
    assert event.attributes["tracebaton.outputs.unconfirmed"] == 2
    assert event.attributes["error.type"] == "TypeError"
    assert [span.raw.name for span in sink.spans] == ["process raw"]
    kept.delivered(0, 11)
    (sent,) = events(exported(), "send")
    assert fates(sent) == {"in": 1, "passed": 1, "emitted": 1}, "it was on its way after all"
    assert sent.attributes["messaging.kafka.offset"] == 11
    assert len(events(exported(), "process")) == 1


def test_an_exception_while_a_dead_letter_is_on_its_way_waits_for_it(exported: Exported) -> None:
    with pytest.raises(KeyError), tracebaton.process(Message(TRACED)) as hop:
        hop.dead_lettered(ValueError("bad"))
        dead = hop.output("raw.dlq")
        raise KeyError("later")
    assert exported().events == []
    dead.undelivered(TimeoutError("no answer"))
    (event,) = events(exported(), "process")
    assert fates(event) == {"in": 1, "failed": 1}


def test_outputs_that_are_collected_are_unconfirmed(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        kept = [hop.output("out"), hop.output("out")]
    assert exported().events == []
    del hop
    kept.clear()
    (event,) = events(exported(), "process")
    assert event.attributes["tracebaton.outputs.unconfirmed"] == 2
    assert fates(event) == {"in": 1, "passed": 1, "emitted": 2}


def test_what_is_told_of_an_output_twice_counts_once(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED)) as hop:
        output = hop.output("out")
        output.delivered(0, 1)
        output.undelivered(OSError("late"))
        output.delivered(0, 2)
    assert output.is_delivered
    (processed,) = events(exported(), "process")
    assert fates(processed) == {"in": 1, "passed": 1, "emitted": 1}


def test_a_redelivery_is_another_attempt(exported: Exported) -> None:
    with tracebaton.process(Message(TRACED), attempt=2):
        pass
    (event,) = exported().events
    assert event.attributes["tracebaton.attempt"] == 2


def test_a_baton_can_come_from_the_payload(exported: Exported) -> None:
    payload = tracebaton.extract_payload(f'{{"traceparent": "{TRACEPARENT}"}}')
    for baton in (payload, payload.baton):
        with tracebaton.process(Message(None), baton=baton) as hop:
            assert hop.trace_id == TRACE
    assert {span.raw.parent_span_id.hex() for span in exported().spans} == {PARENT}


def test_a_restarted_trace_links_to_theirs(exported: Exported) -> None:
    own = tracebaton.Propagation(trust="restart")
    with tracebaton.process(Message(TRACED), propagation=own) as hop:
        assert hop.trace_id != TRACE
    (span,) = exported().spans
    assert span.raw.links[0].trace_id.hex() == TRACE


def test_an_unsampled_trace_has_no_span_but_its_ledger_event(exported: Exported) -> None:
    unsampled = [("traceparent", TRACEPARENT.replace("-03", "-02").encode())]
    with tracebaton.process(Message(unsampled)):
        pass
    sink = exported()
    assert (len(sink.spans), len(sink.events)) == (0, 1)


def test_attributes_keep_their_types(exported: Exported) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    values: dict[str, Any] = {
        "text": "x\udcff",
        "flag": True,
        "small": -(2**63),
        "large": 2**63,
        "half": 0.5,
        "bytes": b"\xff",
        "none": None,
        "list": [1],
        "odd": Odd(),
    }
    with tracebaton.process(Message(TRACED)) as hop:
        for key, value in values.items():
            hop.set(key, value)
    got = exported().spans[0].attributes
    assert {key: got[key] for key in list(values)[1:-1]} == {
        "flag": True,
        "small": -(2**63),
        "large": str(2**63),
        "half": 0.5,
        "bytes": b"\xff",
        "none": "None",
        "list": "[1]",
    }
    assert "\ufffd" in got["text"]
    assert got["odd"].endswith("without a text>")


@pytest.mark.parametrize("message", [None, 7, "raw", object(), {"topic": "raw"}])
def test_what_is_no_message_is_told(message: object) -> None:
    with pytest.raises(TypeError, match="is no Kafka message: it has no readable topic"):
        tracebaton.process(message)


def test_a_message_with_parts_of_a_wrong_type_is_told() -> None:
    with pytest.raises(TypeError, match="the message's topic is of type int$"):
        tracebaton.process(Message(topic=7))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the message's offset is of type NoneType; .* whose error\(\) is set"):
        tracebaton.process(Message(offset=None))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="headers must be a list of"):
        tracebaton.process(Message(headers=7))
