"""Loops over messages, and outputs that are sent after them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any

import kafka.future
import pytest
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]
TRACED = [("traceparent", TRACEPARENT.encode())]


def messages(count: int) -> list[Message]:
    return [Message(TRACED, offset=number) for number in range(count)]


class Place:
    def __init__(self, partition: int, offset: int) -> None:
        self.partition = partition
        self.offset = offset


def found(sink: Sink) -> dict[int, dict[str, int]]:
    """Returns the fates of each input, by its offset."""
    told = events(sink, "process")
    return {one.attributes["messaging.kafka.offset"]: fates(one) for one in told}


def test_each_message_is_the_current_hop_until_the_next_is_asked_for(exported: Exported) -> None:
    outputs = []
    for message, hop in tracebaton.consume(messages(4), group="g"):
        assert tracebaton.current_hop() is hop
        assert hop.trace_id == TRACE
        if message.offset == 0:
            hop.filtered("on purpose")
        elif message.offset == 1:
            outputs.append(hop.dead_letter("raw.dlq", ValueError("no total")))
        else:
            outputs += [hop.output("out") for _ in range(message.offset - 1)]
    assert tracebaton.current_hop() is None
    for number, output in enumerate(outputs):
        output.delivered(0, number)
    sink = exported()
    assert found(sink) == {
        0: {"in": 1, "filtered": 1},
        1: {"in": 1, "dead_lettered": 1, "emitted": 1},
        2: {"in": 1, "passed": 1, "emitted": 1},
        3: {"in": 1, "passed": 1, "emitted": 2},
    }
    dead = dict(outputs[0].headers)
    assert dead["tracebaton-error-type"] == b"ValueError"
    assert dead["tracebaton-error-message"] == b"no total"


def test_a_loop_that_is_left_fails_the_message_in_hand_unless_its_fate_was_told(
    exported: Exported,
) -> None:
    mine = RuntimeError("mine")
    with pytest.raises(RuntimeError) as raised:
        for message, _hop in tracebaton.consume(messages(3)):
            if message.offset == 1:
                raise mine
    assert raised.value is mine
    del raised, mine
    for _message, hop in tracebaton.consume([Message(TRACED, offset=7)]):
        hop.filtered("on purpose")
        break
    assert tracebaton.current_hop() is None
    sink = exported()
    assert found(sink) == {
        0: {"in": 1, "passed": 1},
        1: {"in": 1, "failed": 1},
        7: {"in": 1, "filtered": 1},
    }
    (failed,) = (one for one in events(sink, "process") if "failed" in fates(one))
    assert failed.attributes["tracebaton.reason"] == "the loop was left while the message was handled"


def test_an_asynchronous_loop_does_the_same(exported: Exported) -> None:
    async def source() -> AsyncIterator[Message]:
        for message in messages(3):
            await asyncio.sleep(0)
            yield message

    async def run() -> None:
        async for _message, hop in tracebaton.consume(source()):
            await asyncio.sleep(0)
            assert tracebaton.current_hop() is hop
        async with contextlib.aclosing(tracebaton.consume(source())) as loop:
            async for _message, hop in loop:
                hop.failed(ValueError("mine"))
                break
        assert tracebaton.current_hop() is None

    asyncio.run(run())
    told = [fates(one) for one in events(exported(), "process")]
    assert told == [{"in": 1, "passed": 1}] * 3 + [{"in": 1, "failed": 1}]


@pytest.mark.parametrize("make", [kafka.future.Future, Future])
def test_an_output_is_settled_as_its_future_is(
    exported: Exported, make: Callable[[], Any]
) -> None:
    futures = [make() for _ in range(2)]
    for (_, hop), future in zip(tracebaton.consume(messages(2)), futures):
        assert hop.output("out").sent(future) is future
    good, bad = futures
    if isinstance(good, Future):
        good.set_result(Place(2, 9))
        bad.set_exception(OSError("refused"))
    else:
        good.success(Place(2, 9))
        bad.failure(OSError("refused"))
    sink = exported()
    assert found(sink) == {
        0: {"in": 1, "passed": 1, "emitted": 1},
        1: {"in": 1, "failed": 1},
    }
    sent = [one.attributes for one in events(sink, "send")]
    assert sent[0]["messaging.destination.partition.id"] == "2"
    assert sent[0]["messaging.kafka.offset"] == 9
    assert sent[1]["tracebaton.reason"] == "refused"


def test_a_future_of_asyncio_settles_its_output(exported: Exported) -> None:
    async def run() -> None:
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        for _, hop in tracebaton.consume(messages(1)):
            hop.output("out").sent(future)
        future.set_result(Place(0, 3))
        await asyncio.sleep(0)

    asyncio.run(run())
    assert found(exported()) == {0: {"in": 1, "passed": 1, "emitted": 1}}


@pytest.mark.parametrize("given", [object(), Place("one", "two"), 7])  # type: ignore[arg-type]
def test_a_success_that_nobody_knows_the_form_of_is_an_acknowledgement(
    exported: Exported, given: object
) -> None:
    future: Future[object] = Future()
    for at, (_, hop) in enumerate(tracebaton.consume(messages(2))):
        output = hop.output("out")
        if at == 0:
            output.sent(future)
        else:
            output.on_delivery(None, given)
    future.set_result(given)
    assert found(exported()) == {at: {"in": 1, "passed": 1, "emitted": 1} for at in range(2)}


def test_what_is_no_future_is_refused() -> None:
    with tracebaton.process(Message()) as hop:
        output = hop.output("out")
        with pytest.raises(TypeError, match="sent\\(\\) takes a future, not int"):
            output.sent(17)
        output.delivered(0, 1)
