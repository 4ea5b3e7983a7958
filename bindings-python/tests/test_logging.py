"""Log lines: on stdout and as OTLP, with the ids of the hop they were written in."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
import tracebaton
from conftest import TRACE, TRACEPARENT, Message
from sink import Sink

TRACED = Message([("traceparent", TRACEPARENT.encode())])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def stdlib(endpoint: Sink) -> logging.Logger:
    """Returns a logger that no other handler hangs on, pytest's own included."""
    logger = logging.Logger("shop.orders", logging.DEBUG)
    logger.addHandler(tracebaton.LogHandler())
    return logger


def test_a_line_has_the_ids_at_its_top(
    exported: Callable[[], Sink], capsys: pytest.CaptureFixture[str]
) -> None:
    log = tracebaton.Logger("billing")
    assert log.action == "billing"
    with tracebaton.process(TRACED) as hop:
        log.info("made an invoice", lines=3, total=1.5, paid=False, note='a"b\n')
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "service": "python-tests",
        "message": "made an invoice",
        "trace_id": TRACE,
        "span_id": hop.span_id,
        "action": "billing",
        "lines": 3,
        "total": 1.5,
        "paid": False,
        "note": 'a"b\n',
    }
    (record,) = exported().logs
    assert (record.trace_id, record.span_id) == (TRACE, hop.span_id)
    assert record.raw.body.string_value == "made an invoice"
    assert record.attributes["lines"] == 3


def test_outside_a_hop_there_are_no_ids(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    tracebaton.Logger().warn("alone")
    (line,) = lines(capsys)
    assert not {"trace_id", "span_id", "legacy_id", "action"} & set(line)


def test_a_legacy_id_is_on_the_line(endpoint: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    with tracebaton.process(Message([("trace_id", b"order-1")])):
        tracebaton.Logger().error("late")
    (line,) = lines(capsys)
    assert (line["level"], line["legacy_id"]) == ("ERROR", "order-1")


def test_levels_below_the_configured_one_are_left_out(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    tracebaton.Logger().debug("fine")
    assert lines(capsys) == []


def test_a_field_cannot_take_the_place_of_an_id(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracebaton.process(TRACED):
        tracebaton.Logger().info("x", trace_id="mine", level="mine")
    (line,) = lines(capsys)
    assert (line["trace_id"], line["trace_id_"], line["level_"]) == (TRACE, "mine", "mine")


def test_any_text_makes_one_line(endpoint: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\ud800 \x1b[31m \r\n \x00 \u2028 \x9b"
    tracebaton.Logger(text.replace("\ud800", "")).info(text, **{text: text})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out and "\r" not in out and "\x00" not in out
    assert json.loads(out)["message"].endswith(" \x1b[31m \r\n \x00 \u2028 \x9b")


def test_a_stdout_that_is_gone_or_knows_ascii_only_is_no_failure(
    endpoint: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tracebaton.Logger()
    monkeypatch.setattr(sys, "stdout", None)
    log.info("nowhere")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    log.info("closed")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    log.info("gr\u00fc\u00dfe")
    assert b"gr\\xfc\\xdfe" in raw.getvalue()


def test_a_thousand_tasks_write_their_own_ids(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tracebaton.Logger()

    async def work(number: int) -> None:
        with tracebaton.process(Message([("trace_id", f"job-{number}".encode())])):
            await asyncio.sleep(0)
            log.info("in a task", number=number)
            await asyncio.to_thread(log.info, "in a thread", number=number)

    async def main() -> None:
        await asyncio.gather(*map(work, range(1_000)))

    asyncio.run(main())
    found = lines(capsys)
    assert len(found) == 2_000
    assert all(line["legacy_id"] == f"job-{line['number']}" for line in found)


def test_threads_write_whole_lines(endpoint: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    log = tracebaton.Logger()

    def work(number: int) -> None:
        with tracebaton.process(Message([("trace_id", f"job-{number}".encode())])):
            for _ in range(200):
                log.info("x", number=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    found = lines(capsys)
    assert len(found) == 1_600
    assert all(line["legacy_id"] == f"job-{line['number']}" for line in found)


def test_the_handler_writes_what_logging_is_given(
    stdlib: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracebaton.process(TRACED):
        stdlib.info("order %s of %d", "a", 2, extra={"shop": "berlin"})
        stdlib.debug("fine")
        stdlib.critical("worst")
    first, fine, worst = lines(capsys)
    assert (first["message"], first["trace_id"]) == ("order a of 2", TRACE)
    assert (first["action"], first["shop"]) == ("shop.orders", "berlin")
    assert (fine["level"], worst["level"]) == ("DEBUG", "ERROR")
    assert "args" not in first and "taskName" not in first


def test_the_handler_writes_exceptions(
    stdlib: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError("no such currency")
    except ValueError:
        stdlib.exception("cannot price")
    (line,) = lines(capsys)
    assert line["exception.type"] == "ValueError"
    assert line["exception.message"] == "no such currency"
    assert 'raise ValueError("no such currency")' in line["exception.stacktrace"]


def test_an_exception_without_a_text_is_written_too_and_so_is_the_stack(
    stdlib: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    try:
        raise Odd
    except Odd:
        stdlib.exception("cannot price")
    tracebaton.fast_logger(stdlib).info("here", stack_info=True)
    odd, here = lines(capsys)
    assert odd["exception.message"] == f"<{odd['exception.type']} without a text>"
    assert odd["exception.type"] == f"{__name__}.{Odd.__qualname__}", "as spans and events have it"
    assert "raise Odd" in odd["exception.stacktrace"]
    assert "and_so_is_the_stack" in here["code.stacktrace"]


def test_a_field_cannot_take_the_place_of_the_action(
    exported: Callable[[], Sink], stdlib: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    tracebaton.Logger("billing").info("x", action="mine")
    tracebaton.Logger().info("x", action="mine")
    stdlib.info("x", extra={"action": "mine"})
    found = [(line["action"], line.get("action_")) for line in lines(capsys)]
    assert found == [("billing", "mine"), ("mine", None), ("shop.orders", "mine")]
    keys = [[pair.key for pair in record.raw.attributes] for record in exported().logs]
    assert keys == [["action", "action_"], ["action"], ["action", "action_"]]


def test_a_record_that_cannot_be_formatted_is_logging_s_own_matter(
    stdlib: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    stdlib.info("%d", "not a number")
    told = capsys.readouterr()
    assert told.out == ""
    assert "Logging error" in told.err


def test_the_filter_gives_the_ids_to_any_format() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(tracebaton.LogFilter())
    handler.setFormatter(logging.Formatter("[%(trace_id)s %(span_id)s %(legacy_id)s] %(message)s"))
    logger = logging.Logger("own")
    logger.addHandler(handler)
    logger.info("out")
    with tracebaton.process(TRACED) as hop:
        logger.info("in")
    with tracebaton.process(Message([("trace_id", b"order-1")])) as legacy:
        logger.info("legacy")
    assert stream.getvalue().splitlines() == [
        "[  ] out",
        f"[{TRACE} {hop.span_id} ] in",
        f"[{legacy.trace_id} {legacy.span_id} order-1] legacy",
    ]


def test_structlog_gets_the_ids() -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[tracebaton.structlog_ids, structlog.processors.JSONRenderer()],
    )
    log.info("out")
    with tracebaton.process(TRACED) as hop:
        log.info("in")
    with tracebaton.process(Message([("trace_id", b"order-1")])):
        log.info("legacy", span_id="mine")
    first, second, third = map(json.loads, out.getvalue().splitlines())
    assert first == {"event": "out"}
    assert second == {"event": "in", "trace_id": TRACE, "span_id": hop.span_id}
    assert (third["legacy_id"], third["span_id"]) == ("order-1", "mine")


def test_a_fast_logger_writes_what_logging_would(
    exported: Callable[[], Sink], capsys: pytest.CaptureFixture[str]
) -> None:
    fast = tracebaton.fast_logger(logging.Logger("shop.fast", logging.INFO))
    with tracebaton.process(TRACED):
        fast.info("order %s of %d", "a", 2)
        fast.warning("%(shop)s", {"shop": "berlin"}, extra={"n": 1})
        fast.debug("fine")
        fast.error(ValueError("odd"))
        fast.critical("100%")
        try:
            raise KeyError("k")
        except KeyError:
            fast.exception("failed")
            fast.error("failed %s", "too", exc_info=True)
        fast.log(logging.INFO, "logged")
    found = lines(capsys)
    assert [line["message"] for line in found] == [
        "order a of 2",
        "berlin",
        "odd",
        "100%",
        "failed",
        "failed too",
        "logged",
    ]
    assert {line["trace_id"] for line in found} == {TRACE}
    assert {line["action"] for line in found} == {"shop.fast"}
    assert found[1]["n"] == 1
    assert [line.get("exception.type") for line in found[4:6]] == ["KeyError", "KeyError"]
    assert len(exported().logs) == 7


def test_a_fast_logger_heeds_level_and_disabled(
    endpoint: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = tracebaton.fast_logger(logging.getLogger("shop.fast"))
    fast.setLevel(logging.WARNING)
    fast.info("below")
    fast.setLevel(logging.DEBUG)
    fast.disabled = True
    fast.error("disabled")
    fast.disabled = False
    fast.info("%d", "not a number")
    fast.info("written")
    told = capsys.readouterr()
    assert [json.loads(line)["message"] for line in told.out.splitlines()] == ["written"]
    assert "Logging error" in told.err
