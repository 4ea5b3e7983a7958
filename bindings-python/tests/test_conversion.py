"""The border itself: any headers convert, a wrong type is a clear TypeError."""

import contextvars
import gc
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import tracebaton
from conftest import TRACEPARENT, Message
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(st.characters(codec=None)) | st.binary() | st.sampled_from(
    ["traceparent", "tracestate", "baggage", "trace_id", "X-Trace-Id", "x-span-id", "x-baggage-a"]
)
VALUES = st.none() | st.binary() | st.text(st.characters(codec=None))
HEADERS = st.lists(st.tuples(NAMES, VALUES))
MEDIA = st.sampled_from(["http", "kafka", "metadata"])


@given(HEADERS, MEDIA)
def test_any_headers_are_read_and_written(headers: list[Any], medium: Any) -> None:
    found = tracebaton.extract(headers, medium=medium)
    out = tracebaton.inject(found, headers, medium=medium)
    again = tracebaton.extract(out, medium=medium)
    if found.baton.traceparent:
        assert again.baton.traceparent == found.baton.traceparent
    assert tracebaton.inject(again, out, medium=medium) == out, "a second time changes nothing"


@given(st.dictionaries(NAMES, VALUES | st.lists(VALUES)), MEDIA)
def test_any_mapping_is_read(headers: dict[Any, Any], medium: Any) -> None:
    tracebaton.extract(headers, medium=medium)


@pytest.mark.parametrize("medium", ["http", "kafka"])
def test_a_mapping_keeps_every_value_of_a_name(medium: Any) -> None:
    text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"x": ["1", "2", "3"], "y": ("4",), "traceparent": [text, text]}
    out = tracebaton.inject(tracebaton.extract({}), headers, medium=medium)
    values: list[Any] = list(out.values())
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    texts = ["1", "2", "3", "4", text, text]
    assert flat == (texts if medium == "http" else [one.encode() for one in texts])
    assert not isinstance(out["y"], list)
    assert tracebaton.extract(out, medium=medium).trace_id == (
        tracebaton.extract(headers, medium=medium).trace_id
    ), "twice is twice"


@given(HEADERS)
def test_any_message_is_processed(headers: list[Any]) -> None:
    with tracebaton.process(Message(headers)) as hop:
        assert len(hop.headers("out")) >= 2


@given(st.binary() | st.text(st.characters(codec=None)))
def test_any_payload_is_read(payload: Any) -> None:
    tracebaton.extract_payload(payload)


def test_ten_thousand_headers_are_read() -> None:
    headers = [(f"h{n}", b"v") for n in range(10_000)] + [("trace_id", b"order-1")]
    assert tracebaton.extract(headers).legacy_id == "order-1"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (7, "headers must be a list of (name, value) pairs or a mapping, not int"),
        ("traceparent", "headers must be a list of (name, value) pairs or a mapping, not str"),
        (b"traceparent", "headers must be a list of (name, value) pairs or a mapping, not bytes"),
        ([7], "headers[0] must be a (name, value) pair, not int"),
        (["ab"], "headers[0] must be a (name, value) pair, not str"),
        ([("a", b"1"), ("a",)], "headers[1] must be a (name, value) pair, not tuple"),
        ([("a", b"1", 2)], "headers[0] must be a (name, value) pair, not tuple"),
        ([(7, b"1")], "the name of a header must be str or bytes, not int"),
        ([("a", 7)], "the value of header 'a' must be bytes, str or None, not int"),
        ([("a", [b"1"])], "the value of header 'a' must be bytes, str or None, not list"),
        ({"a": {}}, "the value of header 'a' must be bytes, str or None, not dict"),
        ({7: b"1"}, "the name of a header must be str or bytes, not int"),
    ],
)
def test_a_wrong_type_is_told(headers: Any, message: str) -> None:
    with pytest.raises(TypeError) as told:
        tracebaton.extract(headers)
    assert str(told.value) == message


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(TypeError, match="baton must be a Baton, an Extracted or a Hop, not dict"):
        tracebaton.inject({})  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="medium is neither"):
        tracebaton.extract([], medium="smtp")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="payload must be bytes or str, not NoneType"):
        tracebaton.extract_payload(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="message must be str, not int"):
        tracebaton.Logger().info(7)  # type: ignore[arg-type]


def test_an_iterator_that_raises_raises_its_own_error() -> None:
    def headers() -> Any:
        yield "a", b"1"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tracebaton.extract(headers())


def test_what_has_an_iterator_that_raises_raises_its_own_error() -> None:
    class Headers:
        def __iter__(self) -> Iterator[Any]:
            raise KeyError("mine")

    class Wrong:
        def __iter__(self) -> Iterator[Any]:
            raise TypeError("mine")

    with pytest.raises(KeyError, match="mine"):
        tracebaton.extract(Headers())
    with pytest.raises(TypeError, match="headers must be a list") as told:
        tracebaton.extract(Wrong())
    assert str(told.value.__cause__) == "mine"


@pytest.mark.parametrize("text", ["order-1234", "order-\ud800"])
def test_methods_of_a_text_of_the_applications_own_are_not_called(text: str) -> None:
    class Own(str):
        def encode(self, *_: Any) -> bytes:
            raise RuntimeError("mine")

    class Odd(str):
        def encode(self, *_: Any) -> Any:
            return 7

    for kind in (Own, Odd):
        headers: list[Any] = [(kind("\ud800"), b"1"), ("trace_id", kind(text))]
        found = tracebaton.extract(headers)
        assert found.legacy_id == (text if text.isascii() else None)
        assert [one.kind for one in found.refused] == ([] if text.isascii() else ["bad_byte"])
        written = tracebaton.inject(found, headers, medium="http")
        assert written[0] == ("\ud800", "1")


def test_a_dictionary_may_change_while_its_values_are_asked() -> None:
    pytest.importorskip("opentelemetry")
    from tracebaton.otel import BatonPropagator, baton_of

    class Values:
        def __iter__(self) -> Iterator[str]:
            headers.update((f"x-{n}", "y") for n in range(100))
            return iter(("order-1234",))

    headers: dict[str, Any] = {"traceparent": TRACEPARENT, "x-trace-id": Values()}
    baton = baton_of(BatonPropagator().extract(headers))
    assert baton is not None and baton.legacy_id == "order-1234"


def test_what_refers_to_itself_through_us_is_collected() -> None:
    pytest.importorskip("opentelemetry")
    from opentelemetry import context
    from tracebaton.otel import BatonPropagator

    class Value:
        own: object

    def extracted(value: Value) -> object:
        outer = context.set_value("value", value)
        return BatonPropagator().extract({"traceparent": TRACEPARENT}, outer)

    def looked_into(value: Value) -> object:
        found = extracted(value)
        assert isinstance(found, context.Context) and found.get("value") is value
        return found

    def batch(value: Value) -> object:
        return tracebaton.Batch([message(value)])

    def output(value: Value) -> object:
        with tracebaton.process(Message()) as hop:
            return hop.output("out", value=value)

    def message(value: Value) -> Message:
        made = Message()
        made.value = value  # type: ignore[attr-defined]
        return made

    def hop(value: Value) -> object:
        return tracebaton.process(message(value))

    def within(value: Value) -> object:
        with tracebaton.process(message(value)):
            return contextvars.copy_context()

    def active(value: Value) -> object:
        return tracebaton.process(message(value)).active()

    def left(value: Value) -> object:
        one = message(value)
        batch = tracebaton.Batch([one])
        batch.hop(one)
        return batch

    def taken_out(value: Value) -> object:
        batch = tracebaton.insert("raw_events")
        batch.take_out(message(value))
        return batch

    def interrupted(value: Value, block: AbstractContextManager[object]) -> object:
        """A generator that nobody goes on with, in a block within another one."""

        def values() -> Iterator[None]:
            with tracebaton.process(message(value)), block:
                yield

        made = values()
        contextvars.Context().run(next, made)
        return made

    makers = (
        *(extracted, looked_into, batch, output, hop, within, active, left, taken_out),
        lambda value: interrupted(value, tracebaton.process(Message())),
        lambda value: interrupted(value, tracebaton.process(Message()).active()),
        lambda value: interrupted(value, tracebaton.Batch([Message()])),
        lambda value: interrupted(value, tracebaton.insert("raw_events")),
    )
    kept = []
    for make in makers:
        value = Value()
        value.own = make(value)
        kept.append(weakref.ref(value))
    del value
    gc.collect()
    assert [ref() for ref in kept] == [None] * len(makers)
