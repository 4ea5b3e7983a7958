"""readings -> readings.alerts: polls up to 500 records, sends what came of them, commits.

The function gets the values alone; what it cannot handle goes to readings.dlq. Offsets are
committed once everything is delivered.
"""

import json
import os
import signal
from itertools import chain
from typing import Any

import tracebaton
from functions import alert
from kafka import KafkaConsumer, KafkaProducer

SOURCE = os.environ.get("SOURCE", "readings")
TARGET, DEAD_LETTERS, GROUP = f"{SOURCE}.alerts", f"{SOURCE}.dlq", f"{SOURCE}.alerting"
BROKERS = os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092")
DELIVERED_WITHIN_S = 30


def run(consumer: KafkaConsumer, producer: KafkaProducer) -> None:
    records = chain.from_iterable(consumer.poll(timeout_ms=200, max_records=500).values())
    outputs = []
    for record, hop in tracebaton.consume(records, group=GROUP):
        try:
            made = as_list(alert(json.loads(record.value)))
        except Exception as error:
            print(f"cannot handle {record.partition}/{record.offset}: {error!r}", flush=True)
            outputs.append((hop.dead_letter(DEAD_LETTERS, error), record.key, record.value))
            continue
        if not made:
            hop.filtered("below every limit")
        for value in made:
            outputs.append((hop.output(TARGET), record.key, json.dumps(value).encode()))
    sent = [to.sent(producer.send(to.topic, value, key, to.headers)) for to, key, value in outputs]
    for one in sent:
        one.get(timeout=DELIVERED_WITHIN_S)
    consumer.commit()


def as_list(made: Any) -> list[Any]:
    """Returns what a function made as a list: nothing, one value, or many."""
    if made is None:
        return []
    return made if isinstance(made, list) else [made]


def main() -> None:
    tracebaton.init(GROUP)
    own = {"group_id": GROUP, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = KafkaConsumer(SOURCE, bootstrap_servers=BROKERS, **own)
    producer = KafkaProducer(bootstrap_servers=BROKERS, linger_ms=5)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    while not stopping:
        run(consumer, producer)
    consumer.close()
    producer.close()


if __name__ == "__main__":
    main()
