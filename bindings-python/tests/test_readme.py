"""The examples of the README, as they stand there."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tracebaton
from confluent_kafka import Message
from conftest import TRACEPARENT
from sink import Sink
from test_process import events, fates

Exported = Callable[[], Sink]
README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def message(value: bytes, offset: int, topic: str = "orders") -> Message:
    headers: Any = [("traceparent", TRACEPARENT.encode())]
    return Message(topic=topic, partition=0, offset=offset, value=value, headers=headers)


class Producer:
    """Delivers at once, and keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def produce(self, topic: str, value: Any, headers: Any, on_delivery: Any) -> None:
        assert "traceparent" in dict(headers)
        self.sent.append(topic)
        on_delivery(None, message(b"", len(self.sent), topic))

    def poll(self, _: float) -> None:
        pass

    def flush(self) -> None:
        pass


class Client:
    """A database that takes what it is given, and keeps under which name."""

    def __init__(self) -> None:
        self.inserted: list[tuple[str, str]] = []

    def raw_insert(self, table: str, insert_block: str, fmt: str, settings: dict[str, str]) -> None:
        assert fmt == "JSONEachRow"
        self.inserted.append((settings["query_id"], insert_block))


class Stopped:
    """A consumer: at its second message somebody stops the process."""

    def __init__(self, number: signal.Signals) -> None:
        self.number, self.count, self.is_closed = number, 0, False

    def poll(self, _: float) -> Message:
        self.count += 1
        if self.count == 2:
            signal.raise_signal(self.number)
        return message(b"", self.count)

    def close(self) -> None:
        self.is_closed = True


def run(
    example: str, *values: bytes, client: Client | None = None, consumer: Stopped | None = None
) -> Producer:
    messages = [message(value, offset) for offset, value in enumerate(values)]
    producer = Producer()
    ours = SimpleNamespace(**vars(tracebaton))
    ours.init = lambda *_: None  # the tests have theirs
    ours.shutdown = tracebaton.flush
    names = {
        "tracebaton": ours,
        "client": client,
        "consumer": consumer or SimpleNamespace(consume=lambda *_: messages),
        "message": messages[0] if messages else None,
        "producer": producer,
        "json": json,
        "log": tracebaton.Logger("readme"),
        "value": b"1",
    }
    exec(compile(example, str(README), "exec"), names)
    return producer


ORDER, NOTHING = b'{"lines": [1, 2]}', b'{"lines": []}'


@pytest.mark.parametrize(
    ("wanted", "values", "sent", "found"),
    [
        ("tracebaton.init", [ORDER], ["invoices"], [{"in": 1, "passed": 1, "emitted": 1}]),
        ("invoice-lines", [ORDER], ["invoice-lines"] * 2, [{"in": 1, "passed": 1, "emitted": 2}]),
        ("invoice-lines", [NOTHING], [], [{"in": 1, "filtered": 1}]),
        ("        dead = hop", [b"{"], ["orders.dlq"], [{"in": 1, "dead_lettered": 1, "emitted": 1}]),
        (
            "tracebaton.Batch",
            [ORDER, NOTHING, ORDER],
            ["totals"],
            [{"in": 1, "filtered": 1}, {"in": 2, "passed": 2, "emitted": 1}],
        ),
        (
            "batch=True",
            [ORDER, NOTHING, b"{"],
            ["orders.dlq", "invoices"],
            [
                {"in": 1, "filtered": 1},
                {"in": 1, "dead_lettered": 1, "emitted": 1},
                {"in": 1, "passed": 1, "emitted": 1},
            ],
        ),
        (
            'batch="together"',
            [ORDER, NOTHING, ORDER],
            ["receipts"] * 2,
            [{"in": 1, "filtered": 1}, {"in": 2, "passed": 2, "emitted": 2}],
        ),
    ],
)
def test_an_example(
    exported: Exported, wanted: str, values: list[bytes], sent: list[str], found: list[Any]
) -> None:
    (example,) = (example for example in EXAMPLES if wanted in example)
    assert run(example, *values).sent == sent
    assert [fates(event) for event in events(exported(), "process")] == found


def test_the_example_of_a_table(exported: Exported) -> None:
    (example,) = (example for example in EXAMPLES if "tracebaton.insert" in example)
    client = Client()
    assert run(example, ORDER, b"{", ORDER, client=client).sent == ["raw_events.dlq"]
    found = events(exported(), "insert")
    assert [fates(event) for event in found] == [
        {"in": 2, "passed": 2},
        {"in": 1, "dead_lettered": 1, "emitted": 1},
    ]
    ((name, rows),) = client.inserted
    assert {event.attributes["tracebaton.batch.id"] for event in found} == {name}
    assert rows.encode() == ORDER + b"\n" + ORDER


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_example_of_a_signal(exported: Exported, number: signal.Signals) -> None:
    (example,) = (example for example in EXAMPLES if "signal.SIGTERM" in example)
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    consumer = Stopped(number)
    try:
        assert run(example, consumer=consumer).sent == ["invoices"] * 2
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert (consumer.count, consumer.is_closed) == (2, True)
    told = [fates(event) for event in events(exported(), "process")]
    assert told == [{"in": 1, "passed": 1, "emitted": 1}] * 2


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == 8
