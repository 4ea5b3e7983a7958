"""Spans of hops that the host's own SDK records, in a process of its own: its provider is global."""

import json
import os
import subprocess
import sys

import pytest
import tracebaton
from conftest import PARENT, TRACE
from sink import Server
from test_process import fates

PROGRAM = """
import json
import tracebaton
from conftest import TRACEPARENT, Message
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

seen = []


class Seen(SpanProcessor):
    def on_start(self, span, parent_context=None):
        seen.append(span.name)
        if span.attributes.get("break") is True:
            raise RuntimeError("a processor of the host's")


kept = InMemorySpanExporter()
provider = TracerProvider(resource=Resource({"service.name": "mine"}))
provider.add_span_processor(Seen())
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)

tracebaton.init("billing", spans="host")
own = trace.get_tracer("mine")
traced = [("traceparent", TRACEPARENT.encode())]
with tracebaton.process(Message(traced, offset=7), group="g") as hop:
    hop.set("order.lines", 3)
    with own.start_as_current_span("inside"):
        pass
    output = hop.output("out")
    output.delivered(0, 9)
try:
    with tracebaton.process(Message(offset=8)) as failed:
        raise ValueError("no such currency")
except ValueError:
    pass
with tracebaton.process(Message(traced, offset=9)) as broken:
    broken.set("break", True)
tracebaton.flush()
report = tracebaton.shutdown()
print(json.dumps({
    "spans": [json.loads(span.to_json()) for span in kept.get_finished_spans()],
    "seen": seen,
    "hop": hop.span_id,
    "send": output.baton.span_id,
    "failed": [failed.trace_id, failed.span_id],
    "exported": [report.exported.spans, report.exported.ledger],
    "dropped": report.dropped.spans,
}))
"""


def run(program: str, server: Server) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, which exports to `server`, and closes that."""
    env = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.sink.url,
        "PYTHONPATH": os.path.dirname(__file__),
    }
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    server.close()
    return ran


def test_the_hosts_sdk_records_hops_with_their_ids_and_parents() -> None:
    server = Server()
    ran = run(PROGRAM, server)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    spans = {span["context"]["span_id"].removeprefix("0x"): span for span in told["spans"]}

    process, send = spans[told["hop"]], spans[told["send"]]
    assert process["name"] == "process raw"
    assert process["context"]["trace_id"].removeprefix("0x") == TRACE
    assert process["parent_id"].removeprefix("0x") == PARENT
    assert process["kind"] == "SpanKind.CONSUMER"
    assert process["attributes"]["order.lines"] == 3
    assert process["attributes"]["messaging.kafka.offset"] == 7
    assert process["links"][0]["context"]["span_id"].removeprefix("0x") == PARENT
    assert process["resource"]["attributes"]["service.name"] == "mine"
    assert send["parent_id"] == process["context"]["span_id"]
    assert send["kind"] == "SpanKind.PRODUCER"
    (inside,) = (span for span in told["spans"] if span["name"] == "inside")
    assert inside["parent_id"] == process["context"]["span_id"], "the host's own nest below"
    assert process["start_time"] <= inside["start_time"] <= inside["end_time"]
    assert inside["end_time"] <= process["end_time"]

    trace_id, span_id = told["failed"]
    failed = spans[span_id]
    assert failed["context"]["trace_id"].removeprefix("0x") == trace_id
    assert failed["parent_id"] is None
    assert failed["status"] == {"status_code": "ERROR", "description": "no such currency"}
    (event,) = failed["events"]
    assert event["attributes"]["exception.type"] == "ValueError"

    assert told["seen"].count("process raw") == 3, "its processors see them start, too"
    # One was broken by the host, and the ledger says so.
    assert (told["exported"], told["dropped"]) == ([3, 5], 1)
    assert server.sink.spans == [], "no span is told twice"
    kinds = [event.attributes.get("tracebaton.hop.kind") for event in server.sink.events]
    assert sorted(kinds, key=str) == [None, "process", "process", "process", "send"]
    processed = [fates(event) for event, kind in zip(server.sink.events, kinds) if kind == "process"]
    assert processed == [
        {"in": 1, "passed": 1, "emitted": 1},
        {"in": 1, "failed": 1},
        {"in": 1, "passed": 1},
    ]


BATCH = """
import json
import tracebaton
from conftest import TRACEPARENT, Message
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
tracebaton.init("billing", spans="host")
traced = [("traceparent", TRACEPARENT.encode())]
with tracebaton.Batch([Message(traced, offset=7), Message(traced, offset=8)], group="g"):
    pass
tracebaton.shutdown()
spans = {span.name: json.loads(span.to_json()) for span in kept.get_finished_spans()}
print(json.dumps([link["attributes"] for link in spans["process raw"]["links"]]))
"""


def test_the_links_of_a_batch_say_which_record_each_is_of() -> None:
    ran = run(BATCH, Server())
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)[-2:] == [
        {"messaging.kafka.offset": 7},
        {"messaging.kafka.offset": 8},
    ]


def test_without_a_provider_of_the_sdk_the_spans_are_counted_as_dropped_and_that_is_said_once() -> None:
    program = "import tracebaton; from conftest import Message\n"
    program += "tracebaton.init('billing', spans='host')\n"
    program += "with tracebaton.process(Message()): pass\n"
    program += "tracebaton.flush()\n"
    program += "with tracebaton.process(Message()): pass\n"
    program += "report = tracebaton.shutdown(); print(report.dropped.spans, report.exported.ledger)"
    server = Server()
    ran = run(program, server)
    # An event of the ledger says, after each flush, that a span was dropped.
    assert ran.stdout.split() == ["2", "4"], ran.stderr
    assert ran.stderr.count("no TracerProvider of opentelemetry-sdk is registered") == 1
    assert "set_tracer_provider before tracebaton.init" in ran.stderr
    # Where warnings are errors nothing changes for the application.
    ran = run("import warnings; warnings.simplefilter('error')\n" + program, Server())
    assert ran.stdout.split() == ["2", "4"], ran.stderr


def test_a_destination_that_there_is_none_of_is_told() -> None:
    with pytest.raises(tracebaton.ConfigError, match="spans: is neither otlp nor host: sdk"):
        tracebaton.init("billing", spans="sdk")  # type: ignore[arg-type]
