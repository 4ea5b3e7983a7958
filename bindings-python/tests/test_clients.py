"""Messages of the three clients as they really come, off the wire of librdkafka's own broker."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiokafka.structs
import kafka
import pytest
import tracebaton
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from conftest import PARENT, TRACE, TRACEPARENT
from kafka.consumer.fetcher import ConsumerRecord
from sink import Sink

Exported = Callable[[], Sink]
DEADLINE_S = 30.0


class RawName(str):
    """A header name that is written as bytes which are not UTF-8."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe"


@pytest.fixture
def broker() -> Iterator[tuple[Producer, str]]:
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    found = next(iter(producer.list_topics("raw", timeout=10).brokers.values()))
    yield producer, f"{found.host}:{found.port}"
    producer.flush(5)


def receive(servers: str, topic: str, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    messages: list[Message] = []
    until = time.monotonic() + DEADLINE_S
    while len(messages) < count and time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            messages.append(message)
    consumer.close()
    assert len(messages) == count
    return messages


def test_confluent_kafka_end_to_end(broker: tuple[Producer, str]) -> None:
    producer, servers = broker
    producer.produce("raw", b"{}", headers={"traceparent": TRACEPARENT, "empty": None})
    producer.flush(10)
    (message,) = receive(servers, "raw", 1)
    with tracebaton.process(message, group="g") as hop:
        assert (hop.trace_id, hop.extracted.span_id) == (TRACE, PARENT)
        outputs = [hop.output("out", message.headers()) for _ in range(2)]
        producer.produce("out", b"1", headers=hop.headers("out"), on_delivery=hop.on_delivery)
        for output in outputs:
            producer.produce("out", b"2", headers=output.headers, on_delivery=output.on_delivery)
    assert producer.flush(10) == 0
    assert all(output.is_delivered for output in outputs)
    for sent in receive(servers, "out", 3):
        found = tracebaton.extract(sent.headers())
        assert found.trace_id == TRACE
        assert found.refused == []


def test_a_delivery_that_fails_is_an_output_that_failed() -> None:
    nowhere = Producer({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 200})
    with tracebaton.process(aiokafka_record([])) as hop:
        output = hop.output("out")
        nowhere.produce("out", b"1", headers=output.headers, on_delivery=output.on_delivery)
        nowhere.flush(10)
    assert not output.is_delivered


def test_a_header_name_that_is_not_utf8_crashes_nothing(broker: tuple[Producer, str]) -> None:
    _, servers = broker
    sender = kafka.KafkaProducer(bootstrap_servers=servers, api_version=(2, 3))
    headers = [(RawName("x"), b"1"), ("traceparent", TRACEPARENT.encode())]
    sender.send("raw", b"{}", headers=headers).get(10)
    sender.close()
    (message,) = receive(servers, "raw", 1)
    with tracebaton.process(message) as hop:
        assert hop.trace_id == TRACE
        assert [(one.name, one.kind) for one in hop.extracted.refused] == [("headers", "not_text")]
        assert tracebaton.extract(hop.headers("out", message.headers())).trace_id == TRACE


def aiokafka_record(headers: Any) -> Any:
    return aiokafka.structs.ConsumerRecord(
        topic="raw",
        partition=3,
        offset=7,
        timestamp=0,
        timestamp_type=0,
        key=None,
        value=b"{}",
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=2,
        headers=headers,
    )


def test_records_of_aiokafka_and_kafka_python_are_understood() -> None:
    headers = [("traceparent", TRACEPARENT.encode()), ("empty", None)]
    given = {name: None for name in ConsumerRecord._fields}
    kafka_python = ConsumerRecord(
        **given | {"topic": "raw", "partition": 3, "offset": 7, "headers": headers}
    )
    for record in (aiokafka_record(tuple(headers)), kafka_python):
        with tracebaton.process(record) as hop:
            assert hop.trace_id == TRACE
            output = hop.output("out")
            place = aiokafka.structs.RecordMetadata("out", 0, None, 12, -1, 0, 0)
            output.delivered(place)
        assert output.is_delivered


def test_aiokafka_without_acknowledgements_leaves_outputs_unconfirmed(exported: Exported) -> None:
    async def send() -> None:
        loop = asyncio.get_running_loop()
        raised: list[object] = []
        loop.set_exception_handler(lambda _, context: raised.append(context))
        with tracebaton.process(aiokafka_record([])) as hop:
            one, two = hop.output("out"), hop.output("out")
            one.delivered(None)  # what its `send_and_wait` returns with `acks=0`
            sent = two.sent(loop.create_future())
            sent.set_result(None)
            await asyncio.sleep(0)
        assert raised == []
        assert not (one.is_delivered or two.is_delivered)

    asyncio.run(send())
    gc.collect()
    (event,) = exported().events
    assert event.attributes["tracebaton.records.passed"] == 1
    assert event.attributes["tracebaton.outputs.unconfirmed"] == 2


def test_kafka_python_sends_what_a_hop_makes(broker: tuple[Producer, str]) -> None:
    _, servers = broker
    sender = kafka.KafkaProducer(bootstrap_servers=servers, api_version=(2, 3))
    with tracebaton.process(aiokafka_record([])) as hop:
        output = hop.output("raw")
        output.delivered(sender.send("raw", b"1", headers=output.headers).get(10))
    sender.close()
    assert output.is_delivered
    (message,) = receive(servers, "raw", 1)
    assert tracebaton.extract(message.headers()).trace_id == hop.trace_id
