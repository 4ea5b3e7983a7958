"""A real loop: confluent-kafka, librdkafka's own broker, a transform of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import tracebaton
from cases import GETTER, MADE, SETTER, Host
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from measure import Case, Work
from messages import SHORT
from opentelemetry import propagate, trace

COUNT = 2_000
VALUE = json.dumps({"id": 1, "user": "u-17", "items": [{"sku": "mug", "quantity": 2}]})


class Kafka:
    """A broker with a topic of messages, and the clients of a service."""

    def __init__(self) -> None:
        self.producer = Producer(
            {"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0}
        )
        known = self.producer.list_topics("orders", timeout=10)
        broker = next(iter(known.brokers.values()))
        self.partitions = list(known.topics["orders"].partitions)
        servers = {"bootstrap.servers": f"{broker.host}:{broker.port}"}
        self.consumer = Consumer(servers | {"group.id": "billing", "log_level": 0})
        for at in range(COUNT):
            self.producer.produce("orders", VALUE, str(at), headers=list(SHORT))
        self.producer.flush()

    def read(self, count: int) -> list[Message]:
        self.consumer.assign(
            [TopicPartition("orders", number, OFFSET_BEGINNING) for number in self.partitions]
        )
        messages: list[Message] = []
        while len(messages) < count:
            messages += self.consumer.consume(500, 1.0)
        return messages[:count]


def transformed(message: Message) -> str:
    order: dict[str, Any] = json.loads(message.value() or b"{}")
    return json.dumps({"order": order["id"], "lines": len(order["items"])})


def cases(host: Host) -> Iterator[Case]:
    kafka = Kafka()
    log = tracebaton.Logger("billing")

    def ours(count: int) -> None:
        for message in kafka.read(count):
            with tracebaton.process(message, group="billing") as hop:
                value = transformed(message)
                log.info("made an invoice", lines=1)
                out = hop.output("invoices")
                kafka.producer.produce(
                    "invoices", value, headers=out.headers, on_delivery=out.on_delivery
                )
            kafka.producer.poll(0)
        kafka.producer.flush()

    def by_hand(count: int) -> None:
        tracer = host.tracer
        for message in kafka.read(count):
            parent = propagate.extract(message.headers() or [], getter=GETTER)
            with tracer.start_as_current_span(
                "process orders",
                context=parent,
                kind=trace.SpanKind.CONSUMER,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": message.topic() or "",
                    "messaging.destination.partition.id": str(message.partition()),
                    "messaging.kafka.offset": message.offset() or 0,
                    "messaging.consumer.group.name": "billing",
                },
            ):
                value = transformed(message)
                host.log.info("made an invoice", extra={"lines": 1})
                with tracer.start_as_current_span("send invoices", kind=trace.SpanKind.PRODUCER):
                    headers: list[tuple[str, Any]] = []
                    propagate.inject(headers, setter=SETTER)
                    kafka.producer.produce("invoices", value, headers=headers)
            kafka.producer.poll(0)
        kafka.producer.flush()

    def settle() -> None:
        tracebaton.flush()
        host.provider.force_flush()

    works: tuple[Work, Work] = (ours, by_hand)
    name = "opentelemetry-sdk by hand"
    yield Case("python.pipeline", name, COUNT, *works, settle=settle, made=MADE)
    kafka.consumer.close()
