"""An OTLP endpoint in a process of its own: it counts what it takes and keeps nothing.

`GET /` says how many spans, log lines and ledger events have come, by `service.name`.
"""

import gzip
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

counts: dict[str, Counter[str]] = {}
lock = threading.Lock()


def service(resource: Any) -> str:
    names = (pair.value.string_value for pair in resource.attributes if pair.key == "service.name")
    return next(names, "")


def add(name: str, kinds: Counter[str]) -> None:
    with lock:
        counts.setdefault(name, Counter()).update(kinds)


def take(path: str, body: bytes) -> None:
    if path == "/v1/traces":
        for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            count = sum(len(scope.spans) for scope in spans.scope_spans)
            add(service(spans.resource), Counter(spans=count))
    else:
        for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
            records = (record for scope in logs.scope_logs for record in scope.log_records)
            kinds = Counter("events" if record.event_name else "logs" for record in records)
            add(service(logs.resource), kinds)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        take(self.path, body)
        self.answer("application/x-protobuf", b"")

    def do_GET(self) -> None:
        with lock:
            said = json.dumps(counts).encode()
        self.answer("application/json", said)

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    sys.stdin.close()
    server.serve_forever()


if __name__ == "__main__":
    main()
