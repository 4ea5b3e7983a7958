"""An OTLP endpoint that keeps what it is sent, and reads it as Python values."""

import gzip
import ssl
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Record:
    """A span or a log record, and the resource it came from."""

    raw: Any
    resource: dict[str, Any]

    @property
    def trace_id(self) -> str:
        return bytes(self.raw.trace_id).hex()

    @property
    def span_id(self) -> str:
        return bytes(self.raw.span_id).hex()

    @property
    def attributes(self) -> dict[str, Any]:
        return plain(self.raw.attributes)


@dataclass
class Sink:
    url: str = ""
    spans: list[Record] = field(default_factory=list)
    logs: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)

    def clear(self) -> None:
        self.spans.clear()
        self.logs.clear()
        self.events.clear()
        self.headers.clear()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = plain(part.resource.attributes)
                for scope in part.scope_spans:
                    self.spans.extend(Record(span, resource) for span in scope.spans)
        else:
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                resource = plain(logs.resource.attributes)
                for scope_logs in logs.scope_logs:
                    for log in scope_logs.log_records:
                        kept = self.events if log.event_name else self.logs
                        kept.append(Record(log, resource))


def plain(attributes: Any) -> dict[str, Any]:
    def value(any_value: Any) -> Any:
        return getattr(any_value, any_value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair.value) for pair in attributes}


class Server:
    """Serves a `Sink` on a free port of the loopback interface, by TLS if it gets a certificate."""

    def __init__(self, certificate: str | None = None) -> None:
        sink = self.sink = Sink()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                sink.headers.append(self.headers)
                sink.take(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        scheme = "http"
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        sink.url = f"{scheme}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
