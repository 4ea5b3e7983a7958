"""The service under `opentelemetry-instrument`: what a request carried, the next one carries."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
QUIET = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}


class Peer:
    """Keeps the headers of every request that it is sent."""

    def __init__(self) -> None:
        requests = self.requests = list[dict[str, list[str]]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                names = {name.lower() for name in self.headers}
                requests.append({name: self.headers.get_all(name, []) for name in names})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    folder = Path(sys.executable).parent
    main = str(Path(__file__).with_name("main.py"))
    probe = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = probe.server_port
    probe.server_close()
    service = subprocess.Popen(
        [folder / "opentelemetry-instrument", sys.executable, main, str(port)],
        env=os.environ | QUIET | {"OTEL_PROPAGATORS": "tracebaton"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    assert "listening" in service.stdout.readline()
    yield port
    service.terminate()
    service.communicate(timeout=10)


def relay(port: int, peer: Peer, headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Sends a request with these headers and returns those of the request that it causes."""
    peer.requests.clear()
    body = json.dumps([{"url": peer.url, "arguments": []}])
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", "/test")
    for name, value in [*headers, ("content-length", str(len(body)))]:
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    assert connection.getresponse().status == 200
    connection.close()
    (request,) = peer.requests
    assert len(request["traceparent"]) == 1
    return request


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_trace_goes_on_with_a_span_of_its_own(port: int, peer: Peer, flags: str) -> None:
    out = relay(port, peer, [("TraceParent", f"00-{TRACE}-{PARENT}-{flags}")])
    _, trace_id, span_id, sent = out["traceparent"][0].split("-")
    assert (trace_id, sent) == (TRACE, flags)
    assert span_id != PARENT
    assert "tracestate" not in out


def test_state_of_level_2_goes_on(port: int, peer: Peer) -> None:
    traceparent = ("traceparent", f"00-{TRACE}-{PARENT}-01")
    out = relay(port, peer, [traceparent, ("tracestate", "a@@b=1 "), ("tracestate", "0c=2")])
    assert out["tracestate"] == ["a@@b=1,0c=2"]


def test_a_doubled_traceparent_starts_anew(port: int, peer: Peer) -> None:
    twice = [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("traceparent", f"00-{TRACE}-{TRACE[:16]}-01")]
    assert TRACE not in relay(port, peer, twice)["traceparent"][0]


def test_a_legacy_id_goes_on_as_it_was_written(port: int, peer: Peer) -> None:
    out = relay(port, peer, [("X-Trace-Id", TRACE.upper())])
    assert out["x-trace-id"] == [TRACE.upper()]
    assert out["traceparent"][0].split("-")[1] == TRACE


def test_baggage_goes_on_with_its_properties(port: int, peer: Peer) -> None:
    out = relay(port, peer, [("baggage", "user=al%20ice;ttl=3"), ("baggage", "shop=1")])
    assert out["baggage"] == ["user=al%20ice;ttl=3,shop=1"]
