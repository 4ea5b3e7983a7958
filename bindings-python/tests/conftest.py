"""Shared set-up: one export for the whole run, to a sink in this process."""

import os
from collections.abc import Callable, Iterator

import pytest
import tracebaton

from sink import Server, Sink

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-03"


class Message:
    """A message as aiokafka and kafka-python give it: plain attributes."""

    def __init__(self, headers: object = (), topic: str = "raw", offset: int = 7) -> None:
        self.topic = topic
        self.partition = 3
        self.offset = offset
        self.headers = headers


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Sink]:
    server = Server()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.sink.url
    tracebaton.init("python-tests", resource=[("deployment.environment.name", "test")])
    yield server.sink
    tracebaton.shutdown()
    del os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    server.close()


@pytest.fixture
def exported(endpoint: Sink) -> Callable[[], Sink]:
    """Returns a function that says what was exported since the test began."""
    assert tracebaton.flush()
    endpoint.clear()

    def read() -> Sink:
        assert tracebaton.flush()
        return endpoint

    return read
