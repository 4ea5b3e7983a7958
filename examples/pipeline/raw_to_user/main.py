"""raw_to_user: shop_events -> user_events; what fails goes to shop_events.dlq.

At least once: offsets are committed after every message made of them is delivered. No record stops
the service: one whose dead letter is too large as well goes without its payload, or has failed.
"""

import json
import logging
import os
import signal
import sys
from typing import Any

import tracebaton
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from transform import Event, transform

SOURCE, TARGET, DEAD_LETTERS = "shop_events", "user_events", "shop_events.dlq"
GROUP = "raw_to_user"
MAX_TEXT = 1000  # of an error in a log line
BROKERS: dict[str, Any] = {"bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092")}

log = tracebaton.Logger(GROUP)
# What librdkafka has to say becomes log lines like ours.
kafka_log = logging.Logger("kafka", logging.WARNING)
kafka_log.addHandler(tracebaton.LogHandler())


class Service:
    def __init__(self) -> None:
        own = {
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # A member that crashed is given up soon: its partitions wait for no longer.
            "session.timeout.ms": 10000,
        }
        self.consumer = Consumer(BROKERS | own, logger=kafka_log)
        settings = BROKERS | {"enable.idempotence": True, "linger.ms": 5}
        self.producer = Producer(settings, logger=kafka_log)
        self.sent = 0
        self.done = 0
        self.is_ready = False
        self.is_stopping = False

    def run(self) -> None:
        self.consumer.subscribe([SOURCE], on_assign=self.assigned)
        while not self.is_stopping:
            messages = self.consumer.consume(500, timeout=0.1)
            for message in messages:
                if message.error():
                    log.warn("cannot consume", error=str(message.error()))
                else:
                    self.handle(message)
            if messages:
                self.deliver_and_commit()
        self.consumer.close()

    def handle(self, message: Message) -> None:
        with tracebaton.process(message, group=GROUP) as hop:
            try:
                events = transform(json.loads(message.value() or b""))
                ready = [(event["user_id"].encode(), encode(event)) for event in events]
            except Exception as error:
                self.bury(hop, message, error)
                return
            if not events:
                hop.filtered("heartbeat")
            for key, value in ready:
                output = hop.output(TARGET)
                if not self.send(output, key, value):
                    # Those before it are on their way; the dead letter is of the whole message.
                    refusal = f"an event of {len(value)} bytes is too large for {TARGET}"
                    output.undelivered(ValueError(refusal))
                    self.bury(hop, message, ValueError(refusal))
                    return
            log.info("transformed", events=len(events))

    def bury(self, hop: tracebaton.Hop, message: Message, error: Exception) -> None:
        """Sends a message to the dead letters, without its payload where that is too large."""
        hop.dead_lettered(error)
        at = {"partition": message.partition(), "offset": message.offset()}
        log.error("cannot transform", error=repr(error)[:MAX_TEXT], **at)
        output = hop.output(DEAD_LETTERS, message.headers())
        if self.send(output, message.key(), message.value()):
            return
        log.error("dead letter is too large, it goes without its payload", **at)
        if not self.send(output, None, None):
            log.error("dead letter is too large even so, the record is lost", **at)
            output.undelivered(ValueError(f"too large for {DEAD_LETTERS}, after: {error}"))

    def send(self, output: tracebaton.Output, key: bytes | None, value: bytes | None) -> bool:
        """Hands a message to the producer; returns whether it is small enough to be sent."""

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            output.on_delivery(error, message)
            # To try again would not make it smaller: the hop's record has failed, others go on.
            is_too_large = error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
            if is_too_large:
                at = {"topic": output.topic, "of_trace": output.baton.trace_id}
                log.error("broker refuses a message as too large, the record is lost", **at)
            self.done += output.is_delivered or is_too_large

        while True:
            try:
                self.producer.produce(
                    output.topic, value, key, headers=output.headers, on_delivery=on_delivery
                )
                self.sent += 1
                self.producer.poll(0)
                return True
            except BufferError:  # the queue is full: wait until there is room
                self.producer.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                return False

    def deliver_and_commit(self) -> None:
        self.producer.flush()
        if missing := self.sent - self.done:
            # Nothing is committed: the next run gets the same messages again.
            raise RuntimeError(f"{missing} of {self.sent} messages were not delivered")
        self.sent = self.done = 0
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            # The partitions may be another member's by now; it gets the same messages again.
            log.warn("cannot commit", error=str(error))

    def assigned(self, *_: object) -> None:
        if not self.is_ready:
            log.info("ready", topic=SOURCE, group=GROUP)
        self.is_ready = True

    def stop(self, *_: object) -> None:
        self.is_stopping = True


def encode(event: Event) -> bytes:
    """Returns an event as JSON, no longer than it was, in UTF-8 alone."""
    return json.dumps(event, ensure_ascii=False, allow_nan=False).encode()


def create_topics() -> None:
    admin = AdminClient(BROKERS, logger=kafka_log)
    known = admin.list_topics(timeout=10).topics
    absent = [name for name in (SOURCE, TARGET, DEAD_LETTERS) if name not in known]
    topics = [NewTopic(name, num_partitions=4) for name in absent]
    for name, created in (admin.create_topics(topics) if topics else {}).items():
        try:
            created.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                log.warn("cannot create topic", topic=name, error=str(error))


def main() -> int:
    tracebaton.init(GROUP)
    service = Service()
    signal.signal(signal.SIGTERM, service.stop)
    signal.signal(signal.SIGINT, service.stop)
    try:
        create_topics()
        service.run()
    except (KafkaException, RuntimeError) as error:
        log.error("gives up", error=str(error))
        return 1
    finally:
        report = tracebaton.shutdown()
        log.info("stopped", exported=report.exported.total, lost=report.lost.total)
    return 0


if __name__ == "__main__":
    sys.exit(main())
