"""`@transform`: the function keeps its shape, and every message gets its fate."""

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

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


def test_a_cancelled_transform_leaves_its_message_pending(exported: Exported) -> None:
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
    assert fate(exported()) == {"in": 1}


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


def test_what_goes_wrong_around_the_values_of_a_generator_is_a_failure(exported: Exported) -> None:
    told: list[str] = []

    def on_error(hop: tracebaton.Hop, error: BaseException) -> None:
        told.append(type(error).__name__)

    @tracebaton.transform("out", on_error=on_error)
    def each(_: Message) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise OSError("cannot close")

    @tracebaton.transform("out", on_error=on_error)
    async def later(_: Message) -> AsyncIterator[int]:
        yield 1

    outputs = each(message())
    next(outputs).delivered(0, 1)
    with pytest.raises(OSError):
        outputs.close()
    with pytest.raises(TypeError):
        next(each(message(), "one too many"))

    async def main() -> None:
        outputs = later(message())
        (await anext(outputs)).delivered(0, 1)
        with pytest.raises(KeyError):
            await outputs.athrow(KeyError("thrown in"))

    asyncio.run(main())
    assert told == ["OSError", "TypeError", "KeyError"]
    assert [fates(event)["failed"] for event in events(exported(), "process")] == [1, 1, 1]


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


def test_what_the_function_says_of_its_message_stands(exported: Exported) -> None:
    @tracebaton.transform("out")
    def nothing(given: Message) -> None:
        hop = tracebaton.current_hop()
        assert hop is not None
        if given.offset == 1:
            hop.filtered("a heartbeat")
        if given.offset == 2:
            hop.failed(ValueError("no currency"))

    for offset in range(3):
        nothing(message(offset))
    found = events(exported(), "process")
    assert [event.attributes["tracebaton.reason"] for event in found] == [
        "it made nothing",
        "a heartbeat",
        "no currency",
    ]
    assert fates(found[2]) == {"in": 1, "failed": 1}


def test_each_message_of_a_batch_is_a_hop_in_its_own_trace(exported: Exported) -> None:
    @tracebaton.transform("out", batch=True)
    def all_of(given: list[Message]) -> list[Any]:
        return [1, None, [2, 3], ValueError("bad")][: len(given)]

    made = all_of([message(n) for n in range(4)])
    assert made[1] is None and made[3] is None
    for output in [made[0], *made[2]]:
        assert output.baton.trace_id == TRACE
        output.delivered(0, output.value)
    found = {e.attributes["messaging.kafka.offset"]: fates(e) for e in events(exported(), "process")}
    assert found == {
        0: {"in": 1, "passed": 1, "emitted": 1},
        1: {"in": 1, "filtered": 1},
        2: {"in": 1, "passed": 1, "emitted": 2},
        3: {"in": 1, "failed": 1},
    }


def test_a_batch_is_one_hop_and_what_leaves_it_has_its_own(exported: Exported) -> None:
    @tracebaton.transform("out", batch="together")
    def all_of(given: list[Message]) -> list[Any]:
        hop = tracebaton.current_hop()
        assert hop is not None and hop.trace_id != TRACE
        return [1, None, [2, 3], ValueError("bad"), 4][: len(given)]

    made = all_of([message(n) for n in range(5)])
    assert made[1] is None and made[3] is None
    assert tracebaton.current_hop() is None
    (trace_id,) = {output.baton.trace_id for output in [made[0], *made[2], made[4]]}
    for output in [made[0], *made[2]]:
        output.delivered(0, output.value)
    made[4].undelivered(OSError("too large"))
    sink = exported()
    found = {e.attributes["messaging.kafka.offset"]: e for e in events(sink, "process")}
    assert {offset: fates(event) for offset, event in found.items()} == {
        0: {"in": 2, "passed": 2, "emitted": 3},
        1: {"in": 1, "filtered": 1},
        3: {"in": 1, "failed": 1},
        4: {"in": 1, "failed": 1},
    }
    assert found[0].attributes["tracebaton.offset.last"] == 2
    assert found[0].trace_id == trace_id
    assert found[3].trace_id == found[4].trace_id == TRACE
    assert found[4].attributes["error.type"] == "OSError"
    sends = [span for span in sink.spans if span.raw.name == "send out"]
    assert len(sends) == 4
    assert {span.raw.links[0].trace_id.hex() for span in sends} == {TRACE}


def own(offset: int) -> Message:
    """A message in a trace of its own."""
    return Message([("trace_id", f"order-{offset}".encode())], offset=offset)


def test_lines_in_a_batch_are_of_what_is_around_it_or_of_the_message_that_is_named(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    log, slow = tracebaton.Logger("batch"), logging.Logger("batch")
    slow.addHandler(tracebaton.LogHandler())

    @tracebaton.transform("out", batch=True)
    async def all_of(given: list[Message]) -> list[Any]:
        log.info("all")
        for one in given:
            with tracebaton.current_hop(one).active():
                slow.info("one %d", one.offset)
                await asyncio.to_thread(log.info, "in a thread", of=one.offset)
        return [None] * len(given)

    async def main() -> str:
        await all_of([own(1), own(2)])
        with tracebaton.process(message()) as around:
            await all_of([own(3)])
            return around.span_id

    around = asyncio.run(main())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["message"], line.get("legacy_id")) for line in lines] == [
        ("all", None),
        ("one 1", "order-1"),
        ("in a thread", "order-1"),
        ("one 2", "order-2"),
        ("in a thread", "order-2"),
        ("all", None),
        ("one 3", "order-3"),
        ("in a thread", "order-3"),
    ]
    of_all = [line for line in lines if line["message"] == "all"]
    assert [line.get("span_id") for line in of_all] == [None, around]


def test_the_hop_of_a_message_is_known_where_that_is_handled() -> None:
    first, second = message(1), message(2)

    def is_not_handled(one: Message) -> None:
        with pytest.raises(ValueError, match="not being handled here"):
            tracebaton.current_hop(one)

    @tracebaton.transform("out", batch=True)
    def all_of(given: list[Message]) -> list[Any]:
        hop, other = map(tracebaton.current_hop, given)
        assert hop.message is given[0] and other.message is given[1]
        with pytest.raises(RuntimeError, match="hop.active"), hop:
            pass
        with tracebaton.process(given[0]) as within:
            assert tracebaton.current_hop(given[0]) is within
        return [None] * len(given)

    @tracebaton.transform("out", batch="together")
    def together(given: list[Message]) -> list[Any]:
        assert tracebaton.current_hop(given[0]) is tracebaton.current_hop()
        all_of(given)
        return [None] * len(given)

    all_of([first, second])
    together([first, second])
    is_not_handled(first)
    with tracebaton.process(first) as hop:
        assert tracebaton.current_hop(first) is hop
        is_not_handled(message(1))
        all_of([second, first])
        is_not_handled(second)


@pytest.mark.parametrize("batch", [False, True, "together"])
def test_on_error_knows_which_message_failed(exported: Exported, batch: Any) -> None:
    told: list[Message] = []

    def on_error(hop: tracebaton.Hop, error: BaseException) -> None:
        assert tracebaton.current_hop(hop.message) is hop
        told.append(hop.message)

    @tracebaton.transform("out", batch=batch, on_error=on_error)
    def all_of(given: Any) -> list[Any]:
        if not batch:
            raise ValueError("bad")
        return [1, ValueError("bad"), ValueError("worse")]

    given = [message(n) for n in range(3)]
    if batch:
        all_of(given)
        assert told == given[1:]
    else:
        with pytest.raises(ValueError):
            all_of(given[0])
        assert told == given[:1]


@pytest.mark.parametrize("batch", [True, "together"])
@pytest.mark.parametrize("raises", [True, False])
def test_what_on_error_raises_leaves_no_message_as_passed(
    exported: Exported, batch: Any, raises: bool
) -> None:
    def on_error(_: tracebaton.Hop, error: BaseException) -> None:
        raise OSError("no dead letters") from error

    @tracebaton.transform("out", batch=batch, on_error=on_error)
    def all_of(given: list[Message]) -> list[Any]:
        if raises:
            raise ValueError("bad")
        return [None, ValueError("bad"), 1]

    with pytest.raises(OSError):
        all_of([message(n) for n in range(3)])
    found = [fates(event) for event in events(exported(), "process")]
    totals = {fate: sum(one.get(fate, 0) for one in found) for fate in ("in", "filtered", "failed")}
    assert totals == {"in": 3, "filtered": 0 if raises else 1, "failed": 3 if raises else 2}


def test_a_batch_with_a_mistake_in_it_passes_nothing(exported: Exported) -> None:
    @tracebaton.transform("out", batch=True)
    def all_of(given: list[Any]) -> list[Any]:
        return given

    with pytest.raises(TypeError, match="is no Kafka message"):
        all_of([message(1), None])
    assert fate(exported()) == {"in": 1, "failed": 1}


@pytest.mark.parametrize("batch", [True, "together"])
def test_a_batch_that_raises_has_failed_whole(exported: Exported, batch: Any) -> None:
    @tracebaton.transform("out", batch=batch)
    async def fails(_: list[Message]) -> list[Any]:
        raise OSError("down")

    with pytest.raises(OSError):
        asyncio.run(fails([message(1), message(2)]))
    one, both = {"in": 1, "failed": 1}, {"in": 2, "failed": 2}
    found = [fates(e) for e in events(exported(), "process")]
    assert found == ([both] if batch == "together" else [one, one])


@pytest.mark.parametrize("batch", [True, "together"])
def test_a_batch_that_raises_may_be_dead_lettered(exported: Exported, batch: Any) -> None:
    dead = []

    def to_dead_letters(hop: tracebaton.Hop, error: BaseException) -> None:
        dead.append(hop.dead_letter("out.dlq", error))

    @tracebaton.transform("out", batch=batch, on_error=to_dead_letters)
    def fails(_: list[Message]) -> list[Any]:
        raise OSError("down")

    with pytest.raises(OSError):
        fails([message(1), message(2)])
    for at, output in enumerate(dead):
        assert output.baton.trace_id == TRACE
        output.delivered(0, at)
    found = [fates(e) for e in events(exported(), "process")]
    assert found == [{"in": 1, "dead_lettered": 1, "emitted": 1}] * 2


def test_an_asynchronous_batch_keeps_its_hop_to_itself(exported: Exported) -> None:
    @tracebaton.transform("out", batch="together")
    async def all_of(given: list[Message]) -> list[Any]:
        hop = tracebaton.current_hop()
        assert hop is not None
        await asyncio.sleep(0)
        assert tracebaton.current_hop() is hop
        return [hop.trace_id for _ in given]

    async def main() -> list[Any]:
        return await asyncio.gather(*(all_of([message(n), message(n + 100)]) for n in range(20)))

    made = asyncio.run(main())
    assert len({outputs[0].value for outputs in made}) == 20
    for outputs in made:
        for output in outputs:
            assert output.value == output.baton.trace_id
            output.delivered(0, 1)
    found = [fates(e) for e in events(exported(), "process")]
    assert found == [{"in": 2, "passed": 2, "emitted": 2}] * 20


def test_an_object_that_is_called_is_what_its_method_is(exported: Exported) -> None:
    class Later:
        async def __call__(self, given: Message) -> int:
            return given.offset

    class Handler:
        def __init__(self) -> None:
            self.traced = tracebaton.transform("out")(self.handle)

        def handle(self, given: Message) -> Iterator[int]:
            yield given.offset

    async def main() -> Any:
        return await tracebaton.transform("out")(Later())(message())

    asyncio.run(main()).delivered(0, 7)
    for output in Handler().traced(message()):
        output.delivered(0, output.value)
    one = {"in": 1, "passed": 1, "emitted": 1}
    assert [fates(event) for event in events(exported(), "process")] == [one, one]


def test_what_still_has_to_run_is_no_value(exported: Exported) -> None:
    @tracebaton.transform("out")
    def each(given: Message) -> Any:
        return (number for number in range(3))

    with pytest.raises(TypeError, match="a transform has to be what it returns: .* made a generator"):
        each(message())
    assert fate(exported()) == {"in": 1, "failed": 1}


def test_wrong_uses_are_told(exported: Exported) -> None:
    @tracebaton.transform("out", batch="together")
    def short(_: list[Message]) -> list[Any]:
        return []

    with pytest.raises(TypeError, match="a batch of 1 needs a list as long, not 0 results"):
        short([message()])
    with pytest.raises(TypeError, match="it is no generator"):

        @tracebaton.transform("out", batch="together")
        def never(_: list[Message]) -> Iterator[int]:
            yield 1

    with pytest.raises(ValueError, match="batch is True or \"together\", not 'each'"):
        tracebaton.transform("out", batch=cast(Any, "each"))


def test_a_wrong_option_is_told_where_it_is_given() -> None:
    transform: Any = tracebaton.transform
    with pytest.raises(TypeError, match=r'needs a topic: write @tracebaton.transform\("topic"\)'):
        transform(lambda _: 1)  # what `@transform` without parentheses does
    with pytest.raises(TypeError, match="topic"):
        transform()
    with pytest.raises(TypeError, match="^topic must be str, not int$"):
        transform(5)
    with pytest.raises(TypeError, match="^on_error must be a function of the hop .*, not str$"):
        transform("out", on_error="dlq")
    with pytest.raises(TypeError, match="^group must be str, not bytes$"):
        transform("out", group=b"billing")
    with pytest.raises(TypeError, match="^propagation must be Propagation, not dict$"):
        transform("out", propagation={})
