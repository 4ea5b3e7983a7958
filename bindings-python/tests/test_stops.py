"""What stops a program or a task leaves its messages pending: their offsets are not committed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import tracebaton
from conftest import TRACEPARENT, Message
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]
PENDING = {"in": 1}


class Stop(BaseException):
    """One that another framework stops its tasks by."""


STOPS = pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError("a timeout"), Stop()]
)


def message(offset: int = 7) -> Message:
    return Message([("traceparent", TRACEPARENT.encode())], offset=offset)


def by_offset(sink: Sink, kind: str = "process") -> dict[int, dict[str, int]]:
    found = events(sink, kind)
    assert not any("error.type" in event.attributes for event in found if "failed" not in fates(event))
    return {event.attributes["messaging.kafka.offset"]: fates(event) for event in found}


@contextlib.contextmanager
def raised(stop: BaseException) -> Iterator[None]:
    """The exception goes on as it is."""
    with pytest.raises(type(stop)) as caught:
        yield
    assert caught.value is stop


def never(hop: tracebaton.Hop, error: BaseException) -> None:
    raise AssertionError("it is no failure")


@STOPS
def test_a_message(exported: Exported, stop: BaseException) -> None:
    with raised(stop), tracebaton.process(message(1)):
        raise stop
    with raised(stop), tracebaton.process(message(2)) as hop:
        outputs = [hop.output("out") for _ in range(2)]
        outputs[0].delivered(0, 1)
        raise stop
    # Told at once, though nobody has reported the second output.
    assert by_offset(exported()) == {1: PENDING, 2: PENDING | {"emitted": 2}}
    assert tracebaton.current_hop() is None

    async def later() -> None:
        with tracebaton.process(message(3)):
            raise stop

    with raised(stop):
        later().send(None)
    assert by_offset(exported())[3] == PENDING


@STOPS
def test_what_was_said_before_stands(exported: Exported, stop: BaseException) -> None:
    with raised(stop), tracebaton.process(message(1)) as hop:
        hop.failed(ValueError("no currency"))
        raise stop
    with raised(stop), tracebaton.process(message(2)) as hop:
        hop.filtered("a heartbeat")
        raise stop
    with raised(stop), tracebaton.process(message(3)) as hop:
        dead = hop.dead_letter("out.dlq", ValueError("no currency"))
        raise stop
    with raised(stop), tracebaton.process(message(4)) as hop:
        hop.end()
        raise stop
    dead.delivered(0, 1)
    sink = exported()
    found = events(sink, "process")
    assert {event.attributes["messaging.kafka.offset"]: fates(event) for event in found} == {
        1: {"in": 1, "failed": 1},
        2: {"in": 1, "filtered": 1},
        3: {"in": 1, "dead_lettered": 1, "emitted": 1},
        4: {"in": 1, "passed": 1},
    }


@STOPS
def test_a_function(exported: Exported, stop: BaseException) -> None:
    @tracebaton.transform("out", on_error=never)
    def stopped(_: Message) -> None:
        raise stop

    @tracebaton.transform("out", on_error=never)
    async def later(_: Message) -> None:
        raise stop

    with raised(stop):
        stopped(message(1))
    with raised(stop):
        later(message(2)).send(None)
    assert by_offset(exported()) == {1: PENDING, 2: PENDING}


@STOPS
def test_a_generator(exported: Exported, stop: BaseException) -> None:
    @tracebaton.transform("out", on_error=never)
    def each(given: Message) -> Iterator[int]:
        yield 1
        raise stop

    @tracebaton.transform("out", on_error=never)
    async def later(given: Message) -> AsyncIterator[int]:
        yield 1
        raise stop

    outputs = each(message(1))
    next(outputs).delivered(0, 1)
    with raised(stop):
        next(outputs)
    outputs = each(message(2))
    next(outputs).delivered(0, 1)
    with raised(stop):
        outputs.throw(stop)
    values = later(message(3))
    with pytest.raises(StopIteration) as first:
        values.__anext__().send(None)
    first.value.value.delivered(0, 1)
    with raised(stop):
        values.__anext__().send(None)
    emitted = PENDING | {"emitted": 1}
    assert by_offset(exported()) == {1: emitted, 2: emitted, 3: emitted}
    assert tracebaton.current_hop() is None


@STOPS
@pytest.mark.parametrize("batch", [True, "together"])
def test_a_transform_of_batches(exported: Exported, batch: Any, stop: BaseException) -> None:
    @tracebaton.transform("out", batch=batch, on_error=never)
    def stopped(_: list[Message]) -> list[Any]:
        raise stop

    @tracebaton.transform("out", batch=batch, on_error=never)
    async def later(given: list[Message]) -> list[Any]:
        if batch is True:
            tracebaton.current_hop(given[1]).filtered("a heartbeat")
        raise stop

    with raised(stop):
        stopped([message(1), message(2)])
    assert by_offset(exported()) == ({1: {"in": 2}} if batch == "together" else {1: PENDING, 2: PENDING})
    with raised(stop):
        later([message(3), message(4)]).send(None)
    found = by_offset(exported())
    assert found[3] == ({"in": 2} if batch == "together" else PENDING)
    assert batch == "together" or found[4] == {"in": 1, "filtered": 1}


def test_one_that_a_batch_returns_is_its_message_s_failure(exported: Exported) -> None:
    # As `asyncio.gather(…, return_exceptions=True)` does: nobody is stopped, and the batch is committed.
    @tracebaton.transform("out", batch=True)
    def returned(given: list[Message]) -> list[Any]:
        return [asyncio.CancelledError(), None]

    assert returned([message(1), message(2)]) == [None, None]
    assert by_offset(exported()) == {1: {"in": 1, "failed": 1}, 2: {"in": 1, "filtered": 1}}


@STOPS
def test_a_batch(exported: Exported, stop: BaseException) -> None:
    given = [message(n) for n in range(1, 5)]
    with raised(stop), tracebaton.Batch(given) as batch:
        batch.hop(given[1]).filtered("a heartbeat")
        batch.hop(given[2])
        raise stop
    assert by_offset(exported()) == {1: {"in": 2}, 2: {"in": 1, "filtered": 1}, 3: PENDING}


@STOPS
def test_a_batch_waits_for_its_dead_letter(exported: Exported, stop: BaseException) -> None:
    with raised(stop), tracebaton.Batch([message(1), message(2)]) as batch:
        dead = batch.together().dead_letter("out.dlq", ValueError("no currency"))
        raise stop
    dead.delivered(0, 1)
    (event,) = events(exported(), "process")
    assert fates(event) == {"in": 2, "dead_lettered": 2, "emitted": 1}
    assert "tracebaton.outputs.unconfirmed" not in event.attributes


@STOPS
def test_a_batch_for_a_table(exported: Exported, stop: BaseException) -> None:
    with raised(stop), tracebaton.insert("raw_events") as batch:
        batch.add(message(1))
        batch.take_out(message(2)).filtered("a test order")
        batch.take_out(message(3))
        raise stop
    assert len(batch) == 0, "it has ended"
    with raised(stop), tracebaton.insert("raw_events") as batch:
        batch.add(message(4))
        batch.failed(ValueError("no such table"))
        raise stop
    found = by_offset(exported(), "insert")
    told = {1: PENDING, 2: {"in": 1, "filtered": 1}, 3: PENDING, 4: {"in": 1, "failed": 1}}
    assert found == told


def test_a_generator_that_is_closed_is_not_stopped(exported: Exported) -> None:
    with pytest.raises(GeneratorExit), tracebaton.process(message(1)):
        raise GeneratorExit
    assert by_offset(exported()) == {1: {"in": 1, "failed": 1}}
