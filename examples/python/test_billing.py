"""The example as a process, against librdkafka's own broker."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import tracebaton
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-03"
DEADLINE_S = 30.0


def receive(servers: str, topic: str) -> Message:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    until = time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                return message
    finally:
        consumer.close()
    raise AssertionError(f"nothing came to {topic}")


def test_an_order_becomes_an_invoice_of_the_same_trace() -> None:
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    topics = [producer.list_topics(topic, timeout=10) for topic in ("orders", "invoices")]
    servers = ",".join(f"{one.host}:{one.port}" for one in topics[0].brokers.values())
    for order in ({"id": 1, "total": 0}, {"id": 2, "total": 12}):
        producer.produce("orders", json.dumps(order), headers={"traceparent": TRACEPARENT})
    assert producer.flush(10) == 0

    program = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("billing.py")],
        env=os.environ | {"KAFKA_BROKERS": servers, "OTEL_SDK_DISABLED": "true"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        message = receive(servers, "invoices")
    finally:
        program.send_signal(signal.SIGTERM)
        out, _ = program.communicate(timeout=DEADLINE_S)
    assert program.returncode == 0, out
    assert json.loads(message.value() or b"") == {"order": 2, "due": 12}
    assert tracebaton.extract(message.headers()).trace_id == TRACE
    line = json.loads(out.splitlines()[0])
    assert (line["message"], line["trace_id"], line["order"]) == ("made an invoice", TRACE, 2)
