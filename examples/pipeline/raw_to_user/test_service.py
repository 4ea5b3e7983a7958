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

    main = Path(__file__).with_name("main.py")
    env = os.environ | {"KAFKA_BROKERS": servers, "OTEL_SDK_DISABLED": "true"}
    service = subprocess.Popen([sys.executable, main], env=env, stdout=subprocess.PIPE, text=True)
    try:
        messages = receive(servers, ["user_events", "shop_events.dlq"], 4)
    finally:
        service.send_signal(signal.SIGTERM)
        out, _ = service.communicate(timeout=DEADLINE_S)
    assert service.returncode == 0, out

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

    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["message"] for line in lines].count("ready") == 1
    of_hops = [line for line in lines if line["message"] in ("transformed", "cannot transform")]
    assert len(of_hops) == 4
    assert {line["trace_id"] for line in of_hops} == {TRACE}
    assert {line["service"] for line in of_hops} == {"raw_to_user"}
    assert lines[-1]["message"] == "stopped"

    assert committed(servers) == len(raw), "every offset is committed"
