"""What is measured: the same work by ours and by the newest released peer."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import tracebaton
from confluent_kafka import Message
from measure import Case, Made, Work
from messages import FULL, SHORT, records
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiokafka.utils import _wrap_getone
from opentelemetry.instrumentation.aiokafka.utils import _wrap_send as _wrap_aio_send
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.instrumentation.confluent_kafka.utils import _end_current_consume_span
from opentelemetry.instrumentation.kafka.utils import KafkaContextGetter, KafkaContextSetter
from opentelemetry.instrumentation.kafka.utils import _wrap_next, _wrap_send
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pythonjsonlogger.json import JsonFormatter
from tracebaton.otel import BatonPropagator

COUNT = 5_000
# Their spans are two or three a message, and fill requests of 512: a last one that is half empty would
# be dearer than the others.
PEER_COUNT = 1_536
GETTER: KafkaContextGetter[Any] = KafkaContextGetter()
SETTER: KafkaContextSetter[Any] = KafkaContextSetter()
SERVERS = {"bootstrap_servers": ["127.0.0.1:9092"]}
RECORDS = records(COUNT, SHORT)
MESSAGES = [
    Message(topic="orders", partition=3, offset=at, headers=list(SHORT), value=b'{"id":1}', key=b"k")
    for at in range(COUNT)
]


def repeat(one: Callable[[], object]) -> Work:
    def work(count: int) -> None:
        for _ in range(count):
            one()

    return work


class Host:
    """OpenTelemetry's SDK as its documentation sets it up, with the ids on JSON log lines."""

    def __init__(self) -> None:
        provider = self.provider = TracerProvider(resource=Resource.create({"service.name": "b"}))
        url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
        # A queue that loses nothing within a round, so that every span is paid for.
        processor = BatchSpanProcessor(OTLPSpanExporter(url), max_queue_size=1 << 20)
        provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
        self.tracer = provider.get_tracer("bench")
        self.log = logging.Logger("billing", logging.INFO)
        handler = logging.StreamHandler(sys.stdout)
        handler.addFilter(self.add_ids)
        fields = ["asctime", "levelname", "message", "trace_id", "span_id"]
        handler.setFormatter(JsonFormatter(" ".join(f"%({name})s" for name in fields)))
        self.log.addHandler(handler)

    def add_ids(self, record: logging.LogRecord) -> bool:
        span = trace.get_current_span().get_span_context()
        record.trace_id = trace.format_trace_id(span.trace_id)
        record.span_id = trace.format_span_id(span.span_id)
        return True


class Place:
    """Where a broker put a message, as a delivery report says it."""

    partition = 1
    offset = 7
    topic = "invoices"


PLACE = Place()
DELIVERED = Message(topic="invoices", partition=1, offset=7)
# What a message comes to: on both sides its span and that of what is sent. The instrumentation of
# confluent-kafka has one for waiting besides.
OURS = {"spans": 2, "events": 2, "logs": 1}
MADE = {"bench": OURS, "b": {"spans": 2}}
MADE_BY_CONFLUENT = {"bench": OURS, "b": {"spans": 3}}


def send(topic: str, value: object = None, headers: Any = None, on_delivery: Any = None) -> None:
    """Stands for a client's call, which is the same on both sides."""
    if on_delivery is not None:
        on_delivery(None, DELIVERED)


def extraction() -> Iterator[Case]:
    stock, own = TraceContextTextMapPropagator(), BatonPropagator()
    both = CompositePropagator([stock, W3CBaggagePropagator()])
    name = "opentelemetry-api TraceContextTextMapPropagator"
    peer = repeat(lambda: stock.extract(SHORT, getter=GETTER))
    for metric, ours in {
        "python.extract.traceparent.drop_in": lambda: own.extract(SHORT, getter=GETTER),
        "python.extract.traceparent.native": lambda: tracebaton.extract(SHORT),
    }.items():
        yield Case(metric, name, 20_000, repeat(ours), peer)
    full = "opentelemetry-api CompositePropagator"
    peer = repeat(lambda: both.extract(FULL, getter=GETTER))
    for metric, ours in {
        "python.extract.full.drop_in": lambda: own.extract(FULL, getter=GETTER),
        "python.extract.full.native": lambda: tracebaton.extract(FULL),
    }.items():
        yield Case(metric, full, 10_000, repeat(ours), peer)
    yield from looked_at(stock, both, own)


def looked_at(stock: Any, both: Any, own: Any) -> Iterator[Case]:
    """The same, for an application that looks at the span and the baggage that came in."""

    def short(propagator: Any) -> Callable[[], object]:
        def one() -> object:
            found = propagator.extract(SHORT, getter=GETTER)
            return trace.get_current_span(found).get_span_context().trace_id

        return one

    def full(propagator: Any) -> Callable[[], object]:
        def one() -> object:
            found = propagator.extract(FULL, getter=GETTER)
            span = trace.get_current_span(found).get_span_context()
            return span.trace_id, span.trace_state, baggage.get_all(found)

        return one

    assert short(own)() == short(stock)() and full(own)() == full(both)()
    for metric, name, ours, peer in (
        ("traceparent", "TraceContextTextMapPropagator", short(own), short(stock)),
        ("full", "CompositePropagator", full(own), full(both)),
    ):
        metric, name = f"python.extract.{metric}.drop_in.look", f"opentelemetry-api {name}"
        yield Case(metric, name, 10_000, repeat(ours), repeat(peer))


def lines(host: Host) -> Iterator[Case]:
    own = tracebaton.Logger("billing")
    stdlib = tracebaton.fast_logger(logging.Logger("billing", logging.INFO))
    name = "python-json-logger"
    settle = tracebaton.flush

    def peer(count: int) -> None:
        with host.tracer.start_as_current_span("work"):
            for _ in range(count):
                host.log.info("made an invoice", extra={"lines": 3})

    def ours(count: int) -> None:
        with tracebaton.process(RECORDS[0]):
            for _ in range(count):
                own.info("made an invoice", lines=3)

    def fast(count: int) -> None:
        with tracebaton.process(RECORDS[0]):
            for _ in range(count):
                stdlib.info("made an invoice", extra={"lines": 3})

    yield Case("python.log", name, 5_000, ours, peer, settle=settle)
    yield Case("python.log.stdlib", name, 5_000, fast, peer, settle=settle)


def whole(host: Host) -> Iterator[Case]:
    """Whole messages: read, logged, and one made of each."""
    log = tracebaton.Logger("billing")

    def ours(messages: list[Any]) -> Work:
        def work(count: int) -> None:
            for message in messages[:count]:
                with tracebaton.process(message, group="billing") as hop:
                    log.info("made an invoice", lines=3)
                    output = hop.output("invoices")
                    send("invoices", b"1", output.headers, output.on_delivery)

        return work

    def bare(messages: list[Any]) -> Work:
        def work(count: int) -> None:
            for _ in messages[:count]:
                send("invoices", b"1")

        return work

    def by_hand(count: int) -> None:
        tracer, log = host.tracer, host.log
        for message in RECORDS[:count]:
            parent = propagate.extract(message.headers, getter=GETTER)
            token = context.attach(parent)
            with tracer.start_as_current_span(
                "process orders",
                kind=trace.SpanKind.CONSUMER,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": message.topic,
                    "messaging.destination.partition.id": str(message.partition),
                    "messaging.kafka.offset": message.offset,
                    "messaging.consumer.group.name": "billing",
                },
            ):
                log.info("made an invoice", extra={"lines": 3})
                with tracer.start_as_current_span(
                    "send invoices",
                    kind=trace.SpanKind.PRODUCER,
                    attributes={
                        "messaging.system": "kafka",
                        "messaging.operation.type": "send",
                        "messaging.destination.name": "invoices",
                    },
                ):
                    headers: list[tuple[str, bytes]] = []
                    propagate.inject(headers, setter=SETTER)
                    send("invoices", b"1", headers)
            context.detach(token)

    def settle() -> None:
        tracebaton.flush()
        host.provider.force_flush()

    def case(metric: str, name: str, messages: list[Any], peer: Work, made: Made = MADE) -> Case:
        works = ours(messages), peer, bare(messages)
        return Case(metric, name, COUNT, *works, settle, made, PEER_COUNT)

    yield case("python.message", "opentelemetry-sdk by hand", RECORDS, by_hand)
    yield case(
        "python.message.confluent",
        "opentelemetry-instrumentation-confluent-kafka",
        MESSAGES,
        confluent(host),
        MADE_BY_CONFLUENT,
    )
    yield case(
        "python.message.kafka_python",
        "opentelemetry-instrumentation-kafka-python",
        RECORDS,
        kafka_python(host),
    )
    name = "opentelemetry-instrumentation-aiokafka"
    works = aiokafka(host, log)
    yield Case("python.message.aiokafka", name, COUNT, *works, settle, MADE, PEER_COUNT)


def confluent(host: Host) -> Work:
    class Client:
        """What the instrumentation wraps: a consumer and a producer without a broker."""

        config = SERVERS
        messages: Iterator[Message]

        def poll(self, _timeout: float) -> Message:
            return next(self.messages)

        def produce(self, *_: Any, **__: Any) -> None:
            pass

    client: Any = Client()
    consumer: Any = ConfluentKafkaInstrumentor.instrument_consumer(client)
    producer: Any = ConfluentKafkaInstrumentor.instrument_producer(client)

    def work(count: int) -> None:
        client.messages = iter(MESSAGES[:count])
        for _ in range(count):
            consumer.poll(0.1)
            host.log.info("made an invoice", extra={"lines": 3})
            producer.produce("invoices", b"1")
        # What else only the next message would end.
        _end_current_consume_span(consumer)

    return work


def kafka_python(host: Host) -> Work:
    class Client:
        config = SERVERS

    client = Client()
    traced_next, traced_send = _wrap_next(host.tracer, None), _wrap_send(host.tracer, None)

    def work(count: int) -> None:
        consumer = iter(RECORDS[:count])
        for _ in range(count):
            traced_next(lambda: next(consumer), client, (), {})
            host.log.info("made an invoice", extra={"lines": 3})
            traced_send(send, client, ("invoices",), {"value": b"1"})

    return work


def aiokafka(host: Host, log: tracebaton.Logger) -> tuple[Work, Work, Work]:
    """Ours, the peer and neither; all of them wait for a consumer and a producer."""

    class Client:
        _bootstrap_servers = SERVERS["bootstrap_servers"]
        _client_id = "bench"
        _group_id = "billing"
        _key_serializer = _value_serializer = None

        def __init__(self) -> None:
            self.client = self._client = self

        async def _wait_on_metadata(self, _topic: str) -> None:
            pass

        def _partition(self, *_: Any) -> int:
            return 1

    client: Any = Client()
    getone: Any = _wrap_getone(host.tracer, None)
    sending: Any = _wrap_aio_send(host.tracer, None)

    class Consumer:
        def __init__(self, count: int) -> None:
            self.records = iter(RECORDS[:count])

        async def getone(self) -> Any:
            return next(self.records)

    async def send(*args: Any, **kwargs: Any) -> Place:
        return PLACE

    async def ours(count: int) -> None:
        consumer = Consumer(count)
        for _ in range(count):
            with tracebaton.process(await consumer.getone(), group="billing") as hop:
                log.info("made an invoice", lines=3)
                output = hop.output("invoices")
                output.delivered(await send("invoices", value=b"1", headers=output.headers))

    async def peer(count: int) -> None:
        consumer = Consumer(count)
        for _ in range(count):
            await getone(consumer.getone, client, (), {})
            host.log.info("made an invoice", extra={"lines": 3})
            await sending(send, client, ("invoices",), {"value": b"1"})

    async def bare(count: int) -> None:
        consumer = Consumer(count)
        for _ in range(count):
            await consumer.getone()
            await send("invoices", value=b"1")

    def run(work: Callable[[int], Coroutine[Any, Any, None]]) -> Work:
        return lambda count: asyncio.run(work(count))

    return run(ours), run(peer), run(bare)
