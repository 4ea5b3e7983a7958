"""raw_to_user: shop_events -> user_events; what fails goes to shop_events.dlq.

At least once: offsets are committed after every message made of them is delivered.
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
from transform import transform

SOURCE, TARGET, DEAD_LETTERS = "shop_events", "user_events", "shop_events.dlq"
GROUP = "raw_to_user"
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
        self.sent: list[tracebaton.Output] = []
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
            except Exception as error:
                hop.dead_lettered(error)
                log.error("cannot transform", error=repr(error), offset=message.offset())
                output = hop.output(DEAD_LETTERS, message.headers())
                self.send(output, message.key(), message.value())
                return
            if not events:
                hop.filtered("heartbeat")
            for event in events:
                self.send(hop.output(TARGET), event["user_id"], json.dumps(event))
            log.info("transformed", events=len(events))

    def send(self, output: tracebaton.Output, key: Any, value: Any) -> None:
        self.sent.append(output)
        while True:
            try:
                self.producer.produce(
                    output.topic, value, key, headers=output.headers, on_delivery=output.on_delivery
                )
                self.producer.poll(0)
                return
            except BufferError:  # the queue is full: wait until there is room
                self.producer.poll(0.1)

    def deliver_and_commit(self) -> None:
        self.producer.flush()
        missing = sum(not output.is_delivered for output in self.sent)
        if missing:
            # Nothing is committed: the next run gets the same messages again.
            raise RuntimeError(f"{missing} of {len(self.sent)} messages were not delivered")
        self.sent.clear()
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
