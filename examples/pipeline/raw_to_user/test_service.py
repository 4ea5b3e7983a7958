"""The service as a process, against librdkafka's in-process broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TOPICS = ["shop_events", "user_events", "shop_events.dlq"]
DEADLINE_S = 30.0


@pytest.fixture
def producer() -> Iterator[Producer]:
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    yield producer
    producer.flush(5)


def brokers(producer: Producer) -> str:
    found = producer.list_topics(timeout=10).brokers.values()
    return ",".join(f"{broker.host}:{broker.port}" for broker in found)


def event(number: int, **other: Any) -> dict[str, Any]:
    return {
        "event_id": f"evt-{number:06}",
        "type": "page_view",
        "user_id": "u-17",
        "occurred_at": "2026-01-09T10:30:00.123Z",
        **other,
    }


def text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def headers_of(message: Message) -> dict[str, str]:
    pairs = list(message.headers() or [])
    carried = {text(pair[0]): text(pair[1]) for pair in pairs}
    assert len(carried) == len(pairs), "headers pile up"
    return carried


def receive(servers: str, topics: list[str], count: int) -> list[Message]:
    settings = {"bootstrap.servers": servers, "group.id": "test", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe(topics)
    messages: list[Message] = []
    until = time.monotonic() + DEADLINE_S
    while len(messages) < count and time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            messages.append(message)
    consumer.close()
    return messages


def committed(servers: str) -> int:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "raw_to_user"})
    partitions = consumer.list_topics("shop_events", timeout=10).topics["shop_events"].partitions
    places = consumer.committed([TopicPartition("shop_events", n) for n in partitions], timeout=10)
    consumer.close()
    return sum(max(place.offset, 0) for place in places)


def serve(servers: str, count: int) -> tuple[list[Message], list[dict[str, Any]]]:
    """Runs the service until it has sent so many messages; returns them and its log lines."""
    main = Path(__file__).with_name("main.py")
    env = os.environ | {"KAFKA_BROKERS": servers, "OTEL_SDK_DISABLED": "true"}
    service = subprocess.Popen([sys.executable, main], env=env, stdout=subprocess.PIPE, text=True)
    try:
        messages = receive(servers, ["user_events", "shop_events.dlq"], count)
    finally:
        service.send_signal(signal.SIGTERM)
        out, _ = service.communicate(timeout=DEADLINE_S)
    assert service.returncode == 0, out
    return messages, [json.loads(line) for line in out.splitlines()]


def test_events_pass_fan_out_or_go_to_the_dead_letters(producer: Producer) -> None:
    servers = brokers(producer)
    for topic in TOPICS:  # this broker makes a topic when it is asked for, and has no admin calls
        producer.list_topics(topic, timeout=10)
    items = [{"sku": "mug", "quantity": 2, "price": "5.00"}]
    raw = [
        event(1),
        event(2, type="heartbeat"),
        event(3, type="order_placed", amount="10.00", currency="EUR", items=items),
        event(4, type="cart_add", amount="1.00", currency="XAU"),
    ]
    headers: list[tuple[str, str | bytes | None]] = [
        ("traceparent", f"00-{TRACE}-{PARENT}-03".encode()),
        ("trace_id", TRACE.encode()),
        ("shop", b"berlin"),
    ]
    for one in raw:
        producer.produce("shop_events", json.dumps(one), "u-17", headers=headers)
    assert producer.flush(10) == 0

    messages, lines = serve(servers, 4)

    users = [json.loads(m.value() or b"") for m in messages if m.topic() == "user_events"]
    kinds = sorted(user["kind"] for user in users)
    assert kinds == ["item_bought", "order_placed", "page_view"]
    for message in messages:
        carried = headers_of(message)
        version, trace_id, span_id, flags = carried["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", TRACE, "03")
        assert span_id != PARENT
        assert carried["trace_id"] == TRACE

    (dead,) = (message for message in messages if message.topic() == "shop_events.dlq")
    assert json.loads(dead.value() or b"") == raw[3]
    carried = headers_of(dead)
    assert carried["shop"] == "berlin"
    assert carried["tracebaton-error-type"] == "ValueError"
    assert carried["tracebaton-error-message"] == "unknown currency: XAU"

    assert [line["message"] for line in lines].count("ready") == 1
    of_hops = [line for line in lines if line["message"] in ("transformed", "cannot transform")]
    assert len(of_hops) == 4
    assert {line["trace_id"] for line in of_hops} == {TRACE}
    assert {line["service"] for line in of_hops} == {"raw_to_user"}
    assert lines[-1]["message"] == "stopped"

    assert committed(servers) == len(raw), "every offset is committed"


def test_no_record_stops_the_service(producer: Producer) -> None:
    servers = brokers(producer)
    for topic in TOPICS:
        producer.list_topics(topic, timeout=10)
    long = "u" * 600_000  # as key and in the value it is more than a message may have
    bad = {
        b"not JSON": "Expecting value: line 1 column 1 (char 0)",
        b"[]": "the event is no object but list",
        b"[" * 100_000: "maximum recursion depth exceeded",
        json.dumps(event(1, user_id=17)).encode(): "user_id is not a text but int",
        json.dumps(event(2, user_id={"id": "u"})).encode(): "user_id is not a text but dict",
        json.dumps(event(3, user_id="\ud800")).encode(): "user_id has half a surrogate pair",
        json.dumps(event(4, currency="\ud800")).encode(): "unknown currency: \ufffd",
        json.dumps(event(5, amount=float("nan"))).encode(): "Out of range float values",
        json.dumps(event(6, amount="\udfff")).encode(): "'utf-8' codec can't encode character",
        json.dumps(event(7, user_id=long)).encode(): "is too large for user_events",
    }
    for value in bad:
        producer.produce("shop_events", value)
    # What a dead letter says besides its payload makes this one too large.
    producer.produce("shop_events", b'{"type": 7}'.ljust(999_850))
    # And this one is so by what came with it.
    producer.produce("shop_events", b"{}", headers=[("pad", b"x" * 999_800)])
    good = event(8, user_id="zoë " * 50_000)
    producer.produce("shop_events", json.dumps(good))
    assert producer.flush(10) == 0

    messages, lines = serve(servers, len(bad) + 2)

    (user,) = (message for message in messages if message.topic() == "user_events")
    assert json.loads(user.value() or b"")["event_id"] == good["event_id"]
    assert user.key() == good["user_id"].encode()
    dead = {m.value(): headers_of(m) for m in messages if m.topic() == "shop_events.dlq"}
    assert set(dead) == {*bad, None}
    for value, told in bad.items():
        assert told in dead[value]["tracebaton-error-message"]
    assert dead[None]["tracebaton-error-message"] == "type is not a text but int"
    said = [line["message"] for line in lines]
    assert said.count("cannot transform") == len(bad) + 2
    assert said.count("dead letter is too large, it goes without its payload") == 2
    assert said.count("dead letter is too large even so, the record is lost") == 1
    assert said[-1] == "stopped"
    assert committed(servers) == len(bad) + 3, "every offset is committed"
