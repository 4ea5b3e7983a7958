"""What can be tried with nothing but the wheel: threads, tasks, headers, log lines, a fork."""

import asyncio
import os
import threading

import tracebaton

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = [("traceparent", f"00-{TRACE}-b7ad6b7169203331-03".encode())]


class Message:
    topic, partition, offset, headers = "raw", 0, 1, HEADERS


def work() -> None:
    for _ in range(2_000):
        with tracebaton.process(Message(), group="smoke") as hop:
            assert tracebaton.current_hop() is hop
            output = hop.output("out")
            assert tracebaton.extract(output.headers).trace_id == TRACE
            output.delivered(0, 1)


async def tasks() -> None:
    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))


def main() -> None:
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(tasks())
    assert tracebaton.current_hop() is None
    tracebaton.Logger("smoke").info("done", threads=len(threads))
    if hasattr(os, "fork"):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main()
