"""`@transform`: the function keeps its shape, and every message gets its fate."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]


def message(offset: int = 7) -> Message:
    return Message([("traceparent", TRACEPARENT.encode())], offset=offset)


def current() -> str | None:
    hop = tracebaton.current_hop()
    return hop.trace_id if hop else None


@tracebaton.transform("out", group="g")
def double(given: Message) -> Any:
    """Doubles."""
    assert current() == TRACE
    return {7: given.offset * 2, 8: None, 9: [1, 2], 10: []}[given.offset]


def fate(sink: Sink) -> dict[str, int]:
    (event,) = events(sink, "process")
    return fates(event)


def test_a_value_is_one_output(exported: Exported) -> None:
    output = double(message())
    assert (output.value, output.topic) == (14, "out")
    assert tracebaton.extract(output.headers).trace_id == TRACE
    output.delivered(0, 1)
    assert fate(exported()) == {"in": 1, "passed": 1, "emitted": 1}
    assert current() is None
    assert double.__name__ == "double" and double.__doc__ == "Doubles."


def test_none_and_an_empty_list_filter(exported: Exported) -> None:
    assert double(message(8)) is None
    assert double(message(10)) == []
    found = exported().events
    assert [fates(event) for event in found] == [{"in": 1, "filtered": 1}] * 2
    assert found[0].attributes["tracebaton.reason"] == "it made nothing"
    assert found[0].attributes["messaging.consumer.group.name"] == "g"


def test_a_list_fans_out(exported: Exported) -> None:
    outputs = double(message(9))
    assert [output.value for output in outputs] == [1, 2]
    for at, output in enumerate(outputs):
        output.delivered(0, at)
    assert fate(exported()) == {"in": 1, "passed": 1, "emitted": 2}


def test_an_exception_is_raised_on_as_it_is(exported: Exported) -> None:
    mine = ValueError("mine")

    @tracebaton.transform("out")
    def fails(_: Message) -> None:
        raise mine

    with pytest.raises(ValueError) as told:
        fails(message())
    assert told.value is mine
    assert fate(exported()) == {"in": 1, "failed": 1}


def test_on_error_may_dead_letter(exported: Exported) -> None:
    dead: list[tracebaton.Output] = []

    def on_error(hop: tracebaton.Hop, error: BaseException) -> None:
        hop.dead_lettered(error)
        dead.append(hop.output("raw.dlq", value="raw"))

    @tracebaton.transform("out", on_error=on_error)
    def fails(_: Message) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError):
        fails(message())
    (output,) = dead
    assert dict(output.headers)["tracebaton-error-message"] == b"mine"
    output.delivered(0, 1)
    assert fate(exported()) == {"in": 1, "dead_lettered": 1, "emitted": 1}


def test_a_coroutine_function_stays_one(exported: Exported) -> None:
    @tracebaton.transform("out")
    async def later(given: Message) -> list[int]:
        await asyncio.sleep(0)
        assert current() == TRACE
        return [given.offset]

    assert inspect.iscoroutinefunction(later)

    async def main() -> None:
        for outputs in await asyncio.gather(*(later(message(n)) for n in range(100))):
            outputs[0].delivered(0, 1)
        assert current() is None

    asyncio.run(main())
    found = events(exported(), "process")
    assert [fates(event)["passed"] for event in found] == [1] * 100


def test_a_cancelled_transform_has_failed(exported: Exported) -> None:
    @tracebaton.transform("out")
    async def endless(_: Message) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(endless(message()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert fate(exported()) == {"in": 1, "failed": 1}


def test_a_generator_stays_one(exported: Exported) -> None:
    @tracebaton.transform("out")
    def each(given: Message) -> Iterator[int]:
        for number in range(given.offset):
            assert current() == TRACE
            yield number

    assert inspect.isgeneratorfunction(each)
    for output in each(message(3)):
        assert current() is None, "the loop's body is not in the hop"
        output.delivered(0, output.value)
    assert fate(exported()) == {"in": 1, "passed": 1, "emitted": 3}


def test_a_generator_that_yields_nothing_filters(exported: Exported) -> None:
    @tracebaton.transform("out")
    def none(_: Message) -> Iterator[int]:
        yield from ()

    assert list(none(message())) == []
    assert fate(exported()) == {"in": 1, "filtered": 1}


def test_closing_a_generator_early_ends_its_hop(exported: Exported) -> None:
    closed = []

    @tracebaton.transform("out")
    def each(_: Message) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(current())

    outputs = each(message())
    next(outputs).delivered(0, 1)
    outputs.close()
    assert closed == [TRACE]
    assert fate(exported()) == {"in": 1, "passed": 1, "emitted": 1}


def test_a_generator_that_raises_has_failed(exported: Exported) -> None:
    @tracebaton.transform("out")
    def each(_: Message) -> Iterator[int]:
        yield 1
        raise KeyError("mine")

    outputs = each(message())
    next(outputs).delivered(0, 1)
    with pytest.raises(KeyError):
        next(outputs)
    assert fate(exported()) == {"in": 1, "failed": 1, "emitted": 1}


def test_an_asynchronous_generator_stays_one(exported: Exported) -> None:
    @tracebaton.transform("out")
    async def each(given: Message) -> AsyncIterator[int]:
        for number in range(given.offset):
            await asyncio.sleep(0)
            assert current() == TRACE
            yield number

    assert inspect.isasyncgenfunction(each)

    async def one(offset: int) -> None:
        outputs = each(message(offset))
        async for output in outputs:
            assert current() is None
            output.delivered(0, output.value)

    async def main() -> None:
        await asyncio.gather(*map(one, range(1, 20)))
        closed = each(message(100))
        (await anext(closed)).delivered(0, 1)
        await closed.aclose()

    asyncio.run(main())
    found = events(exported(), "process")
    assert sorted(fates(event)["emitted"] for event in found) == [1, *range(1, 20)]


def test_a_batch_gives_every_message_its_own_fate(exported: Exported) -> None:
    @tracebaton.transform("out", batch=True)
    def all_of(given: list[Message]) -> list[Any]:
        return [1, None, [2, 3], ValueError("bad")][: len(given)]

    made = all_of([message(n) for n in range(4)])
    assert made[1] is None and made[3] is None
    for output in [made[0], *made[2]]:
        output.delivered(0, output.value)
    found = {e.attributes["messaging.kafka.offset"]: fates(e) for e in events(exported(), "process")}
    assert found == {
        0: {"in": 1, "passed": 1, "emitted": 1},
        1: {"in": 1, "filtered": 1},
        2: {"in": 1, "passed": 1, "emitted": 2},
        3: {"in": 1, "failed": 1},
    }


def test_a_batch_that_raises_has_failed_whole(exported: Exported) -> None:
    @tracebaton.transform("out", batch=True)
    async def fails(_: list[Message]) -> list[Any]:
        raise OSError("down")

    with pytest.raises(OSError):
        asyncio.run(fails([message(1), message(2)]))
    assert [fates(e) for e in events(exported(), "process")] == [{"in": 1, "failed": 1}] * 2


def test_wrong_uses_are_told(exported: Exported) -> None:
    @tracebaton.transform("out", batch=True)
    def short(_: list[Message]) -> list[Any]:
        return []

    with pytest.raises(TypeError, match="a batch of 1 needs a list as long, not 0 results"):
        short([message()])
    with pytest.raises(TypeError, match="it is no generator"):

        @tracebaton.transform("out", batch=True)
        def never(_: list[Message]) -> Iterator[int]:
            yield 1
