"""What stops a program passes through us; what else an object of a client's raises does not."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tracebaton
from conftest import TRACEPARENT, Message
from sink import Sink

Exported = Callable[[], Sink]
STOPS = [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit]


class Raises:
    """Raises when anybody wants to know anything of it."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __iter__(self) -> Iterator[Any]:
        raise self.error

    def __str__(self) -> str:
        raise self.error

    def __index__(self) -> int:
        raise self.error

    def name(self) -> str:
        raise self.error


class Parts:
    """A message one part of which raises: an attribute, or as a method."""

    def __init__(self, part: str, error: type[BaseException], is_method: bool) -> None:
        self.part, self.error, self.is_method = part, error, is_method

    def __getattr__(self, name: str) -> Any:
        def method() -> Any:
            if name == self.part:
                raise self.error
            return vars(Message())[name]

        return method if self.is_method else method()


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("part", ["topic", "partition", "offset", "headers"])
def test_a_message_that_is_read(part: str, stop: type[BaseException]) -> None:
    for is_method in (False, True):
        with pytest.raises(stop):
            tracebaton.process(Parts(part, stop, is_method))
        if part == "headers":
            found = tracebaton.process(Parts(part, ValueError, is_method)).extracted
            assert [(one.name, one.kind) for one in found.refused] == [("headers", "not_text")]
        else:
            with pytest.raises(TypeError, match=f"no readable {part}"):
                tracebaton.process(Parts(part, ValueError, is_method))


@pytest.mark.parametrize("stop", STOPS)
def test_headers_parts_and_fields(stop: type[BaseException]) -> None:
    headers: Any = Raises(stop)
    log = tracebaton.Logger("interruptions")
    fast = tracebaton.fast_logger(logging.Logger("interruptions"))
    with tracebaton.process(Message()) as hop:
        asks: list[Callable[[], object]] = [
            lambda: tracebaton.extract(headers),
            lambda: tracebaton.process(Message(headers)),
            lambda: tracebaton.process(Message(offset=headers)),
            lambda: hop.set("key", headers),
            lambda: log.info("line", field=headers),
            lambda: fast.info(headers),
            lambda: fast.info("%s", headers),
        ]
        for ask in asks:
            with pytest.raises(stop):
                ask()


@pytest.mark.parametrize("stop", STOPS)
def test_a_getter_of_opentelemetry(stop: type[BaseException]) -> None:
    from tracebaton.otel import BatonPropagator

    carrier: Any = {"traceparent": Raises(stop)}
    with pytest.raises(stop):
        BatonPropagator().extract(carrier)


@pytest.mark.parametrize("stop", STOPS)
def test_an_error_is_noted_before_the_interruption_goes_on(
    exported: Exported, stop: type[BaseException]
) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise stop

    with pytest.raises(stop), tracebaton.process(Message([("traceparent", TRACEPARENT)])):
        raise Odd
    with tracebaton.process(Message()) as hop:
        with pytest.raises(stop):
            hop.failed(Odd())
        with pytest.raises(stop):
            hop.output("out").on_delivery(Raises(stop), None)
    told = [one for one in exported().events if one.attributes["tracebaton.hop.kind"] == "process"]
    assert len(told) == 2
    for event in told:
        assert event.attributes["error.type"].endswith("Odd")
        assert event.attributes["tracebaton.records.failed"] == 1
    assert tracebaton.current_hop() is None
