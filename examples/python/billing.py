"""orders -> invoices, in the trace that each order came with.

    pip install ./bindings-python confluent-kafka
    KAFKA_BROKERS=127.0.0.1:9092 python billing.py
"""

import json
import os
import signal

import tracebaton
from confluent_kafka import Consumer, Message, Producer

BROKERS = {"bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092")}
log = tracebaton.Logger("billing")


@tracebaton.transform("invoices", group="billing")
def invoice(message: Message) -> str | None:
    order = json.loads(message.value() or b"{}")
    if not order["total"]:
        return None  # filtered
    log.info("made an invoice", order=order["id"])
    return json.dumps({"order": order["id"], "due": order["total"]})


def main() -> None:
    tracebaton.init("billing")
    consumer = Consumer(BROKERS | {"group.id": "billing", "auto.offset.reset": "earliest"})
    producer = Producer(BROKERS)
    consumer.subscribe(["orders"])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            message = consumer.poll(0.1)
            if message is not None and not message.error() and (out := invoice(message)):
                producer.produce(
                    out.topic, out.value, headers=out.headers, on_delivery=out.on_delivery
                )
            producer.poll(0)
    except KeyboardInterrupt:
        producer.flush()
        consumer.close()
        print(tracebaton.shutdown())


if __name__ == "__main__":
    main()
