"""The current hop: in tasks, threads and generators each has its own."""

import asyncio
import contextvars
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
import tracebaton
from conftest import Message


def current() -> str | None:
    hop = tracebaton.current_hop()
    return hop.legacy_id if hop else None


def message(number: int) -> Message:
    return Message([("trace_id", f"job-{number}".encode())])


def test_there_is_none_outside_a_hop() -> None:
    assert tracebaton.current_hop() is None
    with tracebaton.process(message(1)) as hop:
        assert tracebaton.current_hop() is hop
    assert tracebaton.current_hop() is None


def test_an_inner_hop_gives_way_to_the_outer() -> None:
    with tracebaton.process(message(1)):
        with tracebaton.process(message(2)):
            assert current() == "job-2"
        assert current() == "job-1"


def test_a_thousand_tasks_keep_their_hops_apart() -> None:
    async def work(number: int) -> None:
        with tracebaton.process(message(number)):
            for _ in range(3):
                await asyncio.sleep(0)
                assert current() == f"job-{number}"
            assert await asyncio.to_thread(current) == f"job-{number}"
            inner = asyncio.create_task(asyncio.sleep(0, current()))
            assert await inner == f"job-{number}"

    async def main() -> None:
        await asyncio.gather(*map(work, range(1_000)))
        assert current() is None

    asyncio.run(main())


def test_a_new_thread_starts_without_a_hop() -> None:
    found: list[str | None] = []
    with tracebaton.process(message(1)):
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
        copied = contextvars.copy_context()
    thread = threading.Thread(target=lambda: found.append(copied.run(current)))
    thread.start()
    thread.join()
    # From Python 3.14 on a build may let threads inherit the context.
    assert found in ([None, "job-1"], ["job-1", "job-1"])


def test_threads_keep_their_hops_apart() -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        with tracebaton.process(message(number)):
            barrier.wait(10)
            for _ in range(1_000):
                assert current() == f"job-{number}"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_generator_may_be_closed_from_another_context() -> None:
    def generate() -> Generator[None, None, None]:
        with tracebaton.process(message(1)):
            yield

    generator = generate()
    contextvars.copy_context().run(next, generator)
    generator.close()
    assert current() is None


def test_a_hop_may_be_settled_from_another_thread() -> None:
    with tracebaton.process(message(1)) as hop:
        outputs = [hop.output("out") for _ in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: pair[1].delivered(0, pair[0]), enumerate(outputs)))
    assert all(output.is_delivered for output in outputs)


def test_a_hop_is_entered_once_and_says_what_to_do_instead() -> None:
    with tracebaton.process(message(1)) as hop:
        with pytest.raises(RuntimeError, match="hop.active"), hop:
            pass
        assert tracebaton.current_hop() is hop, "the outer block goes on"
        with hop.active() as again, hop.active():
            assert tracebaton.current_hop() is again is hop
        work = hop.active()
        with work:
            with pytest.raises(RuntimeError, match="hop.active"), work:
                pass
        with work:
            pass
        assert tracebaton.current_hop() is hop
    assert tracebaton.current_hop() is None
    with hop:
        assert tracebaton.current_hop() is hop, "one after the other is no matter"
    assert tracebaton.current_hop() is None
