"""Reading and writing headers and payloads: the core's answers, in Python's shapes."""

from datetime import datetime, timezone
from typing import Any

import pytest
import tracebaton
from conftest import PARENT, TRACE, TRACEPARENT


def test_a_traceparent_is_read_from_a_list_of_pairs() -> None:
    found = tracebaton.extract([("traceparent", TRACEPARENT.encode())])
    assert (found.trace_id, found.span_id, found.baton.flags) == (TRACE, PARENT, 3)
    assert found.baton.traceparent == TRACEPARENT
    assert found.refused == []
    assert found.source is not None
    assert (found.source.place, found.source.format) == ("headers", "tracecontext")
    assert found.source.name == "traceparent"
    assert found.source.is_trusted


def test_bytes_text_and_pairs_as_lists_mean_the_same() -> None:
    for headers in (
        [("traceparent", TRACEPARENT)],
        [["traceparent", bytearray(TRACEPARENT.encode())]],
        [(b"traceparent", memoryview(TRACEPARENT.encode()))],
        (pair for pair in [("traceparent", TRACEPARENT)]),
        {"traceparent": TRACEPARENT},
        {"traceparent": [TRACEPARENT.encode()]},
    ):
        assert tracebaton.extract(headers).trace_id == TRACE  # type: ignore[arg-type]


def test_no_headers_are_no_baton() -> None:
    nothing: list[Any] = [None, [], {}]
    for headers in nothing:
        found = tracebaton.extract(headers)
        assert (found.trace_id, found.source, found.refused) == (None, None, [])


def test_http_names_come_in_any_case_and_kafka_names_do_not() -> None:
    headers = [("TraceParent", TRACEPARENT)]
    assert tracebaton.extract(headers, medium="http").trace_id == TRACE
    assert tracebaton.extract(headers, medium="kafka").trace_id is None


def test_the_last_kafka_header_counts_and_http_refuses_two() -> None:
    headers = [("traceparent", "nonsense"), ("traceparent", TRACEPARENT)]
    assert tracebaton.extract(headers).trace_id == TRACE
    refused = tracebaton.extract(headers, medium="http").refused
    assert [(one.name, one.kind) for one in refused] == [("traceparent", "duplicate")]


def test_what_is_refused_is_listed_and_never_raised() -> None:
    for value in (None, b"\xff\x00", "\udcff", "00-", b"\r\n\x1b[31m", "x" * 1_000_000):
        found = tracebaton.extract([("traceparent", value)])
        assert found.trace_id is None
        assert [one.name for one in found.refused] == ["traceparent"]


def test_arguments_are_taken_by_place_and_by_name() -> None:
    extract: Any = tracebaton.extract
    given = [("traceparent", TRACEPARENT)]
    assert extract(headers=given).trace_id == extract(given, medium="http").trace_id == TRACE
    calls: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("needs an argument headers", [], {}),
        ("at most 1 positional arguments", [given, "http"], {}),
        ("an unexpected argument other", [given], {"other": 1}),
        ("multiple values for argument headers", [given], {"headers": given}),
    ]
    for told, by_place, by_name in calls:
        with pytest.raises(TypeError, match=told):
            extract(*by_place, **by_name)
    with pytest.raises(ValueError, match="medium"):
        extract(given, medium="fax")


def test_refusals_are_counted_by_their_kind() -> None:
    before = tracebaton.refusals()
    assert {"bad_length", "not_text", "duplicate", "zero_id"} <= before.keys()
    tracebaton.extract([("traceparent", "00-"), ("baggage", b"\xff")])
    after = tracebaton.refusals()
    changed = {kind: count - before[kind] for kind, count in after.items() if count != before[kind]}
    found = tracebaton.extract([("traceparent", "00-"), ("baggage", b"\xff")]).refused
    assert changed == {one.kind: 1 for one in found}
    assert len(changed) == 2


def test_a_wrong_type_counts_no_refusal_twice() -> None:
    before = tracebaton.refusals()
    headers: Any = [("traceparent", "00-"), ["shop", "berlin"]]
    tracebaton.extract(headers)
    assert sum(tracebaton.refusals().values()) - sum(before.values()) == 1


def test_a_legacy_id_keeps_its_text() -> None:
    found = tracebaton.extract([("trace_id", b"order-1234")])
    assert found.legacy_id == "order-1234"
    assert found.baton.is_deferred
    assert found.span_id is None
    assert found.trace_id is not None and len(found.trace_id) == 32


def test_the_time_of_extraction_is_aware() -> None:
    now = datetime.now(timezone.utc)
    time = tracebaton.extract([]).extraction_time
    assert abs((time - now).total_seconds()) < 60


def test_state_and_baggage_come_along() -> None:
    headers = [
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=1,b@@c=2"),
        ("baggage", "user=alice;ttl=3,note=a%20b"),
    ]
    baton = tracebaton.extract(headers).baton
    assert baton.tracestate == "a=1,b@@c=2"
    assert baton.baggage == [("user", "alice", "ttl=3"), ("note", "a b", None)]
    out = dict(tracebaton.inject(baton))
    assert out["tracestate"] == b"a=1,b@@c=2"
    assert out["baggage"] == b"user=alice;ttl=3,note=a%20b"


def test_inject_replaces_and_leaves_the_rest_alone() -> None:
    baton = tracebaton.extract([("traceparent", TRACEPARENT)]).baton
    given = [("traceparent", b"old"), ("shop", b"berlin"), ("empty", None), ("trace_id", "old")]
    out = tracebaton.inject(baton, given)
    assert out == [
        ("shop", b"berlin"),
        ("empty", None),
        ("traceparent", TRACEPARENT.encode()),
        ("trace_id", TRACE.encode()),
    ]
    assert given[0] == ("traceparent", b"old"), "what was given is not changed"


def test_inject_into_a_mapping_gives_a_dict() -> None:
    found = tracebaton.extract([("traceparent", TRACEPARENT)])
    assert tracebaton.inject(found, {"a": "b"}, medium="http") == {
        "a": "b",
        "traceparent": TRACEPARENT,
        "X-Trace-Id": TRACE,
    }


def test_names_that_are_not_utf8_survive_inject() -> None:
    out = tracebaton.inject(tracebaton.extract([]).baton, [("\ud800", b"1"), (b"\xff", b"2")])
    assert out == [("\ud800", b"1"), ("\udcff", b"2")]


def test_a_payload_can_carry_a_baton() -> None:
    found = tracebaton.extract([("traceparent", TRACEPARENT)])
    job = tracebaton.inject_payload(found, b'{"job":1}')
    read = tracebaton.extract_payload(job)
    assert read.baton.traceparent == TRACEPARENT
    assert read.source is not None and read.source.place == "payload"
    with pytest.raises(tracebaton.PayloadError, match="not a JSON object"):
        tracebaton.inject_payload(found, b"[1]")
    assert tracebaton.extract_payload("\udcff").trace_id is None


def test_a_propagation_of_ones_own_reads_and_writes_other_formats() -> None:
    own = tracebaton.Propagation(read=["b3"], write=["jaeger"])
    found = own.extract([("b3", f"{TRACE}-{PARENT}-1")])
    assert found.trace_id == TRACE
    assert dict(own.inject(found)) == {"uber-trace-id": f"{TRACE}:{PARENT}:0:1".encode()}


def test_trust_decides_what_is_carried_on() -> None:
    headers = [("traceparent", TRACEPARENT)]
    restarted = tracebaton.Propagation(trust="restart").extract(headers)
    assert (restarted.trace_id, restarted.linked) == (None, TRACEPARENT)
    assert restarted.source is not None and not restarted.source.is_trusted
    assert tracebaton.Propagation(trust="ignore").extract(headers).source is None


def test_wrong_settings_name_their_key() -> None:
    with pytest.raises(tracebaton.ConfigError, match=r"^read: no such format .*: b4$"):
        tracebaton.Propagation(read=["b4"])  # type: ignore[list-item]
    with pytest.raises(tracebaton.ConfigError, match=r"^trust: .*: maybe$"):
        tracebaton.Propagation(trust="maybe")  # type: ignore[arg-type]
    assert issubclass(tracebaton.ConfigError, tracebaton.TracebatonError)


def test_values_are_frozen_and_compare() -> None:
    one, two = (tracebaton.extract([("traceparent", TRACEPARENT)]).baton for _ in range(2))
    assert one == two
    assert one != tracebaton.extract([]).baton
    with pytest.raises(AttributeError):
        one.flags = 0  # type: ignore[misc]
