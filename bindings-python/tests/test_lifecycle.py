"""Start, flush, shutdown, exit and fork, each in a process of its own."""

import math
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tracebaton
from sink import Server, Sink

START = """
import os, sys, tracebaton
class Message:
    topic, partition, offset, headers = "raw", 0, 1, None
def work(count=1):
    for _ in range(count):
        with tracebaton.process(Message()):
            pass
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Server()
    yield server.sink
    server.close()


def run(code: str, url: str, told: str = "", **env: str) -> str:
    """Runs a program that exports to `url` and returns what it printed; stderr has to be `told`."""
    env = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": url} | env
    # Python warns of any fork beside a thread, and the export is one.
    quiet = "ignore:This process:DeprecationWarning"
    command = [sys.executable, "-W", quiet, "-c", START + textwrap.dedent(code)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(told, done.stderr.strip()), done.stderr
    return done.stdout.strip()


def nobody() -> str:
    """Returns the address of a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


def test_shutdown_reports_what_was_exported(sink: Sink) -> None:
    code = """
        tracebaton.init("billing")
        work(3)
        tracebaton.Logger().info("done", at="end")
        report = tracebaton.shutdown()
        print(report.exported, report.lost.total, report.dropped.total, report.is_complete)
    """
    printed = run(code, sink.url).splitlines()[-1]
    assert printed == "<tracebaton.Counts spans=3 logs=1 ledger=3> 0 0 True"
    assert (len(sink.spans), len(sink.logs), len(sink.events)) == (3, 1, 3)
    assert {one.resource["service.name"] for one in sink.events} == {"billing"}


def test_shutdown_reports_what_it_lost_and_keeps_its_deadline() -> None:
    code = """
        import time
        tracebaton.init("billing")
        work(3)
        start = time.monotonic()
        report = tracebaton.shutdown(500)
        print(report.exported.total, report.lost.total, report.is_complete)
        assert time.monotonic() - start < 3
    """
    told = r"(tracebaton: cannot export to \S+/v1/(traces|logs): .*; trying again\n?){1,2}"
    assert run(code, nobody(), told) == "0 6 False", "and says so once for each signal"


@pytest.mark.parametrize(
    ("said", "fate"),
    [
        ("pass", "passed"),
        ("hop.failed(ValueError('no'))", "failed"),
        ("hop.dead_lettered(ValueError('no'))", "dead_lettered"),
        ("raise TypeError('no')", "failed"),
    ],
)
@pytest.mark.parametrize("end", ["tracebaton.shutdown()", "pass", "sys.exit(0)"])
def test_a_message_whose_outputs_nobody_reported_is_told(
    sink: Sink, said: str, fate: str, end: str
) -> None:
    code = f"""
        tracebaton.init("billing")
        keep = []
        try:
            with tracebaton.process(Message()) as hop:
                keep.append(hop)
                keep.append(hop.output("x"))
                {said}
                keep.append(hop.output("y"))
        except TypeError as error:
            keep.append(error)
        {end}
    """
    run(code, sink.url)
    (event,) = sink.events
    assert event.attributes[f"tracebaton.records.{fate}"] == 1
    assert event.attributes["tracebaton.outputs.unconfirmed"] == (1 if "raise" in said else 2)
    assert [span.raw.name for span in sink.spans].count("process raw") == 1


def test_a_message_that_failed_outside_a_with_is_told(sink: Sink) -> None:
    code = """
        tracebaton.init("billing")
        hop = tracebaton.process(Message())
        output = hop.output("x")
        hop.failed(ValueError("no"))
        report = tracebaton.shutdown()
        print(report.exported)
    """
    assert run(code, sink.url) == "<tracebaton.Counts spans=1 logs=0 ledger=1>"
    assert sink.events[0].attributes["tracebaton.records.failed"] == 1


def test_an_exit_without_a_shutdown_exports(sink: Sink) -> None:
    run("tracebaton.init('billing'); work(2)", sink.url)
    assert len(sink.events) == 2


def test_an_exit_by_an_exception_exports_too(sink: Sink) -> None:
    run("tracebaton.init('billing'); work(2); sys.exit(0)", sink.url)
    assert len(sink.events) == 2


def test_an_exit_in_the_middle_of_a_message_leaves_it_pending(sink: Sink) -> None:
    run("tracebaton.init('billing')\nwith tracebaton.process(Message()): sys.exit(0)", sink.url)
    assert told(sink) == {1: ""}


INSERT = """
def at(n):
    return type("M", (Message,), {"offset": n})()
tracebaton.init("billing")
batch = tracebaton.insert("raw_events")
batch.add(at(1))
batch.take_out(at(2))
batch.take_out(at(3)).filtered("a test order")
"""


def told(sink: Sink) -> dict[int, str]:
    """Returns what became of the record at each offset."""
    found = {}
    for event in sink.events:
        counts = {key: n for key, n in event.attributes.items() if key.startswith("tracebaton.records.")}
        assert counts.pop("tracebaton.records.in") == 1
        assert event.attributes["messaging.kafka.offset"] not in found, "each is told once"
        found[event.attributes["messaging.kafka.offset"]] = "".join(counts).rpartition(".")[2]
    return found


@pytest.mark.parametrize("end", ["", "tracebaton.shutdown()", "sys.exit(0)"])
def test_a_table_s_batch_that_is_open_at_the_end_is_pending(sink: Sink, end: str) -> None:
    run(INSERT + end, sink.url)
    assert told(sink) == {1: "", 2: "", 3: "filtered"}
    assert [span.raw.name for span in sink.spans].count("INSERT raw_events") == 1


def test_whoever_fills_a_batch_may_go_on_after_the_export_has_stopped(sink: Sink) -> None:
    code = """
        tracebaton.shutdown()
        batch.add(at(4))
        batch.take_out(at(2)).filtered("too late")
        batch.take_out(at(5))
        assert len(batch) == 1
        tracebaton.init("billing")
        batch.passed()
    """
    run(INSERT + textwrap.dedent(code), sink.url)
    assert told(sink) == {1: "", 2: "", 3: "filtered", 4: "passed", 5: "failed"}
    name = {event.attributes["tracebaton.batch.id"] for event in sink.events}
    assert len(name) == 1, "its name is the same"


def test_a_batch_that_was_open_before_a_fork_is_its_parent_s_to_tell(sink: Sink) -> None:
    code = """
        other = tracebaton.insert("raw_events")
        other.add(at(4))
        child = os.fork()
        if child == 0:
            del other
            report = tracebaton.shutdown()
            os._exit(report.exported.total)
        assert os.waitpid(child, 0)[1] == 0
        batch.passed()
        other.passed()
    """
    run(INSERT + textwrap.dedent(code), sink.url)
    assert told(sink) == {1: "passed", 2: "failed", 3: "filtered", 4: "passed"}


def test_without_init_nothing_is_kept_and_nothing_fails() -> None:
    code = """
        work()
        tracebaton.Logger("a").info("x")
        assert tracebaton.flush() is False
        report = tracebaton.shutdown()
        assert (report.exported.total, report.is_complete) == (0, True)
    """
    assert '"message":"x"' in run(code, nobody())


def test_the_environment_has_the_last_word(sink: Sink) -> None:
    variables = {
        "OTEL_SERVICE_NAME": "from-the-environment",
        "OTEL_RESOURCE_ATTRIBUTES": "team=shop",
    }
    run("tracebaton.init('billing'); work()", sink.url, **variables)
    resource = sink.events[0].resource
    assert (resource["service.name"], resource["team"]) == ("from-the-environment", "shop")


def test_the_standard_variables_reach_the_wire() -> None:
    certificate = str(Path(__file__).parents[2] / "target/tls/localhost")
    server = Server(certificate)
    variables = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc,x-team=shop",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-team=logs",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": f"{certificate}.pem",
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
    code = """
        tracebaton.init("billing")
        work(3)
        assert tracebaton.flush()
        Message.headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
        work(1)
        print(tracebaton.shutdown().is_complete)
    """
    assert run(code, server.sink.url, **variables) == "True"
    assert (len(server.sink.spans), len(server.sink.events)) == (1, 4)
    sent = [(headers["x-team"], headers["authorization"]) for headers in server.sink.headers]
    assert set(sent) == {("shop", "Bearer abc"), ("logs", None)}
    assert {headers["content-encoding"] for headers in server.sink.headers} == {"gzip"}
    server.close()


def test_a_request_that_takes_too_long_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code = """
            import time
            tracebaton.init("billing")
            work()
            assert not tracebaton.flush(2000)
            report = tracebaton.shutdown(100)
            print(report.lost.total, report.refused.total, report.given_up.total)
        """
        told = r"(tracebaton: cannot export to \S+: no answer within 100 ms; trying again\n?){2}"
        assert run(code, url, told, OTEL_EXPORTER_OTLP_TIMEOUT="100") == "2 0 0"


def test_a_disabled_sdk_exports_nothing(sink: Sink) -> None:
    run("tracebaton.init('billing'); work()", sink.url, OTEL_SDK_DISABLED="true")
    assert sink.events == []


def test_a_second_init_replaces_the_first(sink: Sink) -> None:
    code = """
        tracebaton.init("billing", log_format="text", log_level="debug")
        log = tracebaton.Logger("act")
        log.debug("one", n=1)
        with tracebaton.process(type("M", (Message,), {"headers": [("trace_id", b"o-1")]})()):
            log.debug("two")
        tracebaton.init("billing")
        log.debug("three")
        work()
    """
    assert run(code, sink.url).splitlines() == ["[act] one n=1", "[act] [trace_id=o-1] two"]
    assert len(sink.logs) == 2
    assert len(sink.events) == 2


def test_wrong_options_name_their_key(sink: Sink) -> None:
    with pytest.raises(tracebaton.ConfigError, match="^log_format: .*: xml$"):
        tracebaton.init(log_format="xml")  # type: ignore[arg-type]
    with pytest.raises(tracebaton.ConfigError, match="^log_level: .*: loud$"):
        tracebaton.init(log_level="loud")  # type: ignore[arg-type]
    code = """
        try:
            tracebaton.init()
        except tracebaton.ConfigError as error:
            print(error)
    """
    told = run(code, "127.0.0.1 4318")
    assert told.startswith("OTEL_EXPORTER_OTLP_ENDPOINT")


@pytest.mark.parametrize("call", [tracebaton.flush, tracebaton.shutdown])
def test_a_timeout_that_is_none_names_itself(call: Callable[..., Any]) -> None:
    for timeout in (-1, -(10**30), math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"^timeout_ms .* 0 or more, not {timeout}"):
            call(timeout)
    with pytest.raises(TypeError, match="timeout_ms"):
        call("1000")


def test_a_timeout_of_any_length_is_taken(sink: Sink) -> None:
    code = """
        tracebaton.init("billing")
        work()
        print(tracebaton.flush(10**30), tracebaton.shutdown(2**64 - 1).exported.ledger)
    """
    assert run(code, sink.url) == "True 1"


def test_parent_and_forked_children_each_export_their_own(sink: Sink) -> None:
    code = """
        tracebaton.init("billing")
        work(5)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                work(2)
                assert tracebaton.shutdown().exported.ledger == 2
                os._exit(0)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        work(1)
        assert tracebaton.shutdown().is_complete
    """
    run(code, sink.url)
    spans = {one.span_id for one in sink.events}
    assert len(sink.events) == 5 + 3 * 2 + 1
    assert len(spans) == len(sink.events), "no child has an id of another"


def test_a_hop_that_waits_when_its_process_forks_is_told_by_the_child_that_ends_it(sink: Sink) -> None:
    code = """
        tracebaton.init("billing")
        ended, idle = tracebaton.process(Message()), tracebaton.process(Message())
        for hop in (ended, idle):
            hop.output("x").delivered(0, 1)
        child = os.fork()
        if child == 0:
            keep = ended.output("x")
            ended.end()
            report = tracebaton.shutdown()
            print(report.exported, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        os._exit(0)
    """
    assert run(code, sink.url) == "<tracebaton.Counts spans=2 logs=0 ledger=2>"
    process, send = (event.attributes for event in sink.events)
    assert process["tracebaton.records.passed"] == 1
    assert process["tracebaton.outputs.unconfirmed"] == 1
    assert send["tracebaton.hop.kind"] == "send"


def test_a_fork_while_threads_record_does_not_hang(sink: Sink) -> None:
    code = """
        import threading
        tracebaton.init("billing")
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                work(50)
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                work(1)
                report = tracebaton.shutdown()
                os._exit(0 if report.exported.ledger == 1 else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
    """
    run(code, sink.url)


def test_multiprocessing_works_with_every_start_method(sink: Sink, tmp_path: object) -> None:
    for method in ("fork", "spawn"):
        code = f"""
            import multiprocessing
            if __name__ == "__main__":
                tracebaton.init("billing")
                with multiprocessing.get_context("{method}").Pool(2) as pool:
                    assert pool.map(abs, [-1, -2]) == [1, 2]
                work(1)
        """
        run(code, sink.url)
    assert len(sink.events) == 2


OTHER_INTERPRETER = """
import math
import os
try:
    import tracebaton
except ImportError:
    os.write(1, b"refused")
"""


def test_only_one_interpreter_of_a_process_loads_it() -> None:
    code = f"""
        import importlib
        try:
            import _interpreters
        except ImportError:
            import _xxsubinterpreters as _interpreters
        other = _interpreters.create()
        _interpreters.run_string(other, {OTHER_INTERPRETER!r})
        _interpreters.destroy(other)
        importlib.reload(tracebaton)
        work()
        tracebaton.Logger().info("goes on")
    """
    printed = run(code, nobody())
    assert printed.startswith("refused") and "goes on" in printed
