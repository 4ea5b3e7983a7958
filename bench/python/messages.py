"""The messages of all cases: what a service behind Kafka gets today."""

from __future__ import annotations

from typing import Any

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-03"
OTHERS = [
    ("content-type", b"application/json"),
    ("schema", b"order/3"),
    ("tenant", b"berlin"),
    ("sent-by", b"ingest"),
]
SHORT = [*OTHERS, ("traceparent", TRACEPARENT.encode())]
FULL = [
    *OTHERS[:3],
    ("traceparent", TRACEPARENT.encode()),
    ("tracestate", b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
    ("baggage", b"user=alice,shop=berlin,tier=gold"),
]


class Record:
    """A message in the shape of aiokafka's and kafka-python's."""

    __slots__ = ("headers", "key", "offset", "partition", "topic", "value")

    def __init__(self, offset: int, headers: list[tuple[str, bytes]]) -> None:
        self.topic = "orders"
        self.partition = 3
        self.offset = offset
        self.key = b"k"
        self.value = b'{"id":1}'
        self.headers = headers


def records(count: int, headers: list[tuple[str, bytes]]) -> list[Any]:
    return [Record(offset, list(headers)) for offset in range(count)]
