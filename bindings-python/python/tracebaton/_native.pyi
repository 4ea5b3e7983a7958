"""The compiled half of `tracebaton`, in types."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar, final, overload

from typing_extensions import Self, disjoint_base

_Text: TypeAlias = bytes | str | bytearray | memoryview
_Value: TypeAlias = _Text | None
_Pairs: TypeAlias = Iterable[tuple[_Text, _Value]]
_Mapping: TypeAlias = Mapping[str, Any]
_Medium: TypeAlias = Literal["http", "kafka", "metadata"]
_Format: TypeAlias = Literal[
    "tracecontext", "baggage", "legacy", "b3", "b3multi", "jaeger", "xray", "gcp", "datadog"
]
# An exception, confluent-kafka's KafkaError, or the name of an error's type.
_Error: TypeAlias = BaseException | str | Any
_F = TypeVar("_F")

__all__ = [
    "Active",
    "Batch",
    "Baton",
    "Carried",
    "ConfigError",
    "Counts",
    "Extracted",
    "FastMethod",
    "Hop",
    "Insert",
    "LazyContext",
    "Logger",
    "Output",
    "PayloadError",
    "Propagation",
    "PropagatorBase",
    "Refusal",
    "ShutdownReport",
    "Source",
    "TracebatonError",
    "current_hop",
    "current_ids",
    "extract",
    "extract_payload",
    "flush",
    "init",
    "inject",
    "inject_payload",
    "insert",
    "log",
    "otel_baton",
    "otel_fields",
    "otel_inject",
    "otel_new_span_id",
    "otel_new_trace_id",
    "otel_sample",
    "process",
    "refusals",
    "shutdown",
]

class TracebatonError(Exception):
    """The base of every error of tracebaton."""

class ConfigError(TracebatonError):
    """A setting that cannot be used; the message starts with its name."""

class PayloadError(TracebatonError):
    """A payload that cannot take a baton."""

@final
class Baton:
    """What a request hands on: its trace, its parent span, its state and its baggage."""

    @property
    def trace_id(self) -> str | None: ...
    @property
    def span_id(self) -> str | None: ...
    @property
    def flags(self) -> int | None: ...
    @property
    def traceparent(self) -> str | None: ...
    @property
    def tracestate(self) -> str: ...
    @property
    def baggage(self) -> list[tuple[str, str, str | None]]: ...
    @property
    def legacy_id(self) -> str | None: ...
    @property
    def is_debug(self) -> bool: ...
    @property
    def is_deferred(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Carried:
    """A baton beside OpenTelemetry's own values, from where it came in to where it goes out."""

    def __new__(cls, baton: Baton) -> Self: ...
    @property
    def baton(self) -> Baton: ...
    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...
    @property
    def flags(self) -> int: ...
    @property
    def tracestate(self) -> str: ...
    @property
    def baggage(self) -> list[tuple[str, str]]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class LazyContext:
    """A context of OpenTelemetry with a baton in it, made only if somebody looks into it."""

    def __eq__(self, other: object, /) -> bool: ...
    def get(self, key: object, default: object = None, /) -> Any: ...
    def __getitem__(self, key: object, /) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...

@final
class Source:
    """Where a trace id came from."""

    @property
    def place(self) -> Literal["headers", "payload", "metadata"]: ...
    @property
    def format(self) -> _Format: ...
    @property
    def name(self) -> str: ...
    @property
    def is_trusted(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Refusal:
    """Something a peer sent that was not taken."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Extracted:
    """What was found in headers, a payload or metadata."""

    @property
    def baton(self) -> Baton: ...
    @property
    def trace_id(self) -> str | None: ...
    @property
    def span_id(self) -> str | None: ...
    @property
    def legacy_id(self) -> str | None: ...
    @property
    def source(self) -> Source | None: ...
    @property
    def linked(self) -> str | None: ...
    @property
    def refused(self) -> list[Refusal]: ...
    @property
    def extraction_time(self) -> datetime: ...

@final
class Propagation:
    """How batons are read and written."""

    def __new__(
        cls,
        *,
        read: Sequence[_Format] | None = None,
        write: Sequence[_Format] | None = None,
        trust: Literal["continue", "restart", "ignore"] | None = None,
        payload_paths: Sequence[str] | None = None,
        baggage_keys: Sequence[str] | None = None,
    ) -> Self: ...
    @staticmethod
    def from_settings(
        values: Mapping[str, bool | float | str | Sequence[str]],
    ) -> Propagation:
        """Takes the same keys as the configuration file: `{"extraction.headers": [...]}`."""

    @staticmethod
    def from_env() -> Propagation:
        """Reads the file that TRACEBATON_CONFIG names, and TRACEBATON_TRACING_*."""

    @staticmethod
    def from_yaml(path: str | PathLike[str]) -> Propagation:
        """Reads a configuration file."""

    def extract(
        self, headers: _Pairs | _Mapping | None, *, medium: _Medium = "kafka"
    ) -> Extracted: ...
    def extract_payload(self, payload: _Text) -> Extracted: ...
    @overload
    def inject(
        self, baton: Baton | Extracted | Hop, headers: _Mapping, *, medium: _Medium = "kafka"
    ) -> dict[str, Any]: ...
    @overload
    def inject(
        self,
        baton: Baton | Extracted | Hop,
        headers: _Pairs | None = None,
        *,
        medium: Literal["http"],
    ) -> list[tuple[str, str | None]]: ...
    @overload
    def inject(
        self,
        baton: Baton | Extracted | Hop,
        headers: _Pairs | None = None,
        *,
        medium: Literal["kafka", "metadata"] = "kafka",
    ) -> list[tuple[str, bytes | None]]: ...
    def inject_payload(self, baton: Baton | Extracted | Hop, payload: _Text) -> bytes: ...

def extract(headers: _Pairs | _Mapping | None, *, medium: _Medium = "kafka") -> Extracted:
    """Reads a baton from headers. What is not taken is listed in `refused`."""

def extract_payload(payload: _Text) -> Extracted:
    """Reads a baton from a JSON payload."""

@overload
def inject(
    baton: Baton | Extracted | Hop, headers: _Mapping, *, medium: _Medium = "kafka"
) -> dict[str, Any]:
    """Returns a copy of headers with the baton in them; a name with several values keeps them as a list."""

@overload
def inject(
    baton: Baton | Extracted | Hop, headers: _Pairs | None = None, *, medium: Literal["http"]
) -> list[tuple[str, str | None]]: ...
@overload
def inject(
    baton: Baton | Extracted | Hop,
    headers: _Pairs | None = None,
    *,
    medium: Literal["kafka", "metadata"] = "kafka",
) -> list[tuple[str, bytes | None]]: ...
def inject_payload(baton: Baton | Extracted | Hop, payload: _Text) -> bytes:
    """Returns a copy of a JSON object with the baton in it."""

def refusals() -> dict[str, int]:
    """Returns how often something was refused in this process, by the kind of what was wrong."""

@final
class Output:
    """A message on its way to a topic, until the broker has it or is known not to."""

    @property
    def topic(self) -> str: ...
    @property
    def headers(self) -> list[tuple[str, Any]]:
        """The headers its message is to have: what was given, the baton, and of a dead letter why."""

    @property
    def value(self) -> Any:
        """What the message says, where `transform` made it."""

    @property
    def baton(self) -> Baton: ...
    @property
    def is_delivered(self) -> bool:
        """Whether the broker has it, as far as is known."""

    def on_delivery(self, err: object, msg: Any) -> None:
        """Takes confluent-kafka's delivery report."""

    def delivered(self, metadata: object, offset: int | None = None, /) -> None:
        """Says where the broker put it: what aiokafka and kafka-python return, or both numbers.

        aiokafka returns `None` with `acks=0`: then it stays unconfirmed.
        """

    def sent(self, future: _F) -> _F:
        """Says that the client took it: it is settled as the future is that the client returned.

        Futures of kafka-python, `asyncio` and `concurrent.futures`. Returns the future.
        """

    def undelivered(self, error: _Error, message: str = "") -> None:
        """Says that the broker or the client refused it; the hop's message has then failed."""

@final
class Hop:
    """What happens to one message: its span, its ledger event, and the messages made of it."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def legacy_id(self) -> str | None: ...
    @property
    def baton(self) -> Baton: ...
    @property
    def message(self) -> Any:
        """The message as it was given; `None` where this is the hop of a batch."""

    @property
    def extracted(self) -> Extracted: ...
    def output(
        self, topic: str, headers: _Pairs | _Mapping | None = None, *, value: Any = None
    ) -> Output:
        """Starts a message on its way out to `topic`."""

    def active(self) -> Active:
        """Makes this hop the current one within a `with` statement, without ending it."""

    def headers(
        self, topic: str, headers: _Pairs | _Mapping | None = None
    ) -> list[tuple[str, Any]]:
        """Returns the headers of one message to `topic`; hand `on_delivery` to the producer too."""

    def on_delivery(self, err: object, msg: Any) -> None:
        """Takes confluent-kafka's delivery report of a message whose headers `headers` made."""

    def set(self, key: str, value: object) -> None:
        """Sets an attribute of the span."""

    def filtered(self, reason: str) -> None:
        """Says that the message was left out on purpose."""

    def _made_nothing(self, reason: str) -> None: ...
    def failed(self, error: _Error, message: str = "") -> None:
        """Says that the message could not be handled and nothing else took it."""

    def dead_lettered(self, error: _Error, message: str = "") -> None:
        """Says that the message goes to a dead-letter topic; make the output for it after this."""

    def dead_letter(
        self, topic: str, error: _Error, headers: _Pairs | _Mapping | None = None
    ) -> Output:
        """Says that the message goes to a dead-letter topic, and starts the message for it."""

    def _hold(self) -> None:
        """Lets no `with` block end it: whoever holds it does."""

    def end(self) -> None:
        """Ends the hop; leaving the `with` block does. It is told once its outputs are reported."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

@final
class Active:
    """A stretch of code that works for a hop."""

    def __enter__(self) -> Hop: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

def process(
    message: object,
    *,
    group: str | None = None,
    baton: Baton | Extracted | Hop | None = None,
    attempt: int = 1,
    propagation: Propagation | None = None,
) -> Hop:
    """Starts the hop of one consumed message; use it in a `with` statement.

    The message is one of confluent-kafka, aiokafka or kafka-python. `baton` stands in for what its
    headers say, for instance the result of `extract_payload`. An exception that leaves the block is
    recorded as the message's failure and raised on. What stops the program or the task, as
    `KeyboardInterrupt`, `SystemExit` and `asyncio.CancelledError` do, leaves the message pending, unless
    something was said of it: its offset is not committed, and it comes again.
    """

@final
class Batch:
    """Messages that were read together: one hop, linked to the trace of each.

    Use it in a `with` statement. Its ledger events are one for each partition, whatever the number of
    messages, and its trace is its own: where each message's trace is to go on, `process` each. A message
    that is in it twice is the same input, and counts once. An exception that leaves the block is the failure of
    all that are left in it; one that stops the program or the task leaves them pending.
    """

    def __new__(
        cls,
        messages: Iterable[object],
        *,
        group: str | None = None,
        propagation: Propagation | None = None,
    ) -> Self: ...
    @property
    def messages(self) -> list[Any]: ...
    def __len__(self) -> int: ...
    def together(self) -> Hop:
        """Returns the one hop of all messages that have none of their own; the batch ends it."""

    def hop(self, message: object) -> Hop:
        """Takes a message out of the batch and returns its own hop: say there what became of it."""

    def output(
        self,
        topic: str,
        headers: _Pairs | _Mapping | None = None,
        *,
        value: Any = None,
        of: object = None,
    ) -> Output:
        """Starts a message on its way out to `topic`, made of all messages or of one of them.

        It is in the batch's trace; `of` links it to the message it is made of, and if it is refused
        that message alone has failed.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

@final
class Insert:
    """Records on their way into a table: they share what becomes of the batch.

    It has a trace of its own, with a span for each attempt, and one ledger event for each partition that
    lists the records' traces, whatever their number.
    """

    batch_id: str
    """The batch's name: give it to ClickHouse as `query_id`. It may be set, for instance to one made of the
    offsets at which batches are cut; that one is its `insert_deduplication_token`, too."""
    @property
    def baton(self) -> Baton:
        """What is current while an attempt goes on: the batch's trace and the attempt's span."""

    @property
    def trace_id(self) -> str | None: ...
    def __len__(self) -> int:
        """How many records are in; 0 once the batch has ended."""

    def add(self, message: object) -> None:
        """Adds a record; one that is added again counts once, and one that was taken out stays out."""

    def take_out(self, message: object) -> Hop:
        """Takes a record out, or says that it does not go in, and returns its own hop: say there what became
        of it. The hop ends with the batch."""

    def passed(self) -> None:
        """Says that the table has the batch; leaving the `with` block does."""

    def failed(self, error: _Error, message: str = "") -> None:
        """Says that the batch was given up: nothing else took its records."""

    def blocked(self, error: _Error, message: str = "") -> None:
        """Says that an attempt failed and another will follow: the records stay pending."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

def insert(
    table: str,
    *,
    group: str | None = None,
    batch_id: str | None = None,
    propagation: Propagation | None = None,
) -> Insert:
    """Starts a batch of records for a table; use it in a `with` statement.

    It has passed once the block is left, unless it was said to have failed. An exception that leaves the
    block is recorded as the failure of its records and raised on; one that stops the program or the task, as
    `KeyboardInterrupt` does, leaves them pending. A batch without records tells nothing.
    One that is given up without a word, because it is collected or the export stops, leaves its records
    pending, also those that were taken out and of which nothing was said.
    """

def current_hop() -> Hop | None:
    """Returns the current hop; none outside a `with process(…)` block."""

def current_ids() -> tuple[str, str | None, str | None] | None:
    """Returns trace id, span id and legacy id as a log line of now is to carry them."""

@final
class Logger:
    """Writes log lines that carry the ids of the current hop."""

    def __new__(cls, action: str | None = None) -> Self: ...
    @property
    def action(self) -> str | None: ...
    def debug(self, message: str, /, **fields: object) -> None: ...
    def info(self, message: str, /, **fields: object) -> None: ...
    def warn(self, message: str, /, **fields: object) -> None: ...
    def error(self, message: str, /, **fields: object) -> None: ...

@final
class FastMethod:
    """One method of a logger of `logging`, past its handlers."""

    def __new__(cls, logger: object, level: int, slow: object) -> Self: ...
    def call(self, msg: object, /, *args: object, **kwargs: Any) -> None: ...

def log(
    level: int,
    message: str,
    fields: dict[str, Any] | None = None,
    *,
    action: str | None = None,
) -> None:
    """Writes a line at a level of the standard library's `logging`; its handler calls this."""

@disjoint_base
class PropagatorBase:
    """What `tracebaton.otel.BatonPropagator` is made of."""

    def __new__(cls, propagation: Propagation | None = None) -> Self: ...
    @property
    def propagation(self) -> Propagation | None: ...
    # Any: OpenTelemetry's types are there only where its package is.
    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any: ...

# What `tracebaton.otel` calls; the span is trace id, span id, flags and tracestate.
_Span: TypeAlias = tuple[int, int, int, str]
_Baggage: TypeAlias = Sequence[tuple[str, object]]

def otel_inject(
    carrier: object,
    carried: Carried | None,
    span: _Span | None,
    baggage: _Baggage,
    is_whole: bool,
    propagation: Propagation | None = None,
) -> list[tuple[str, str]]: ...
def otel_baton(
    carried: Carried | None, span: _Span | None, baggage: _Baggage, is_whole: bool
) -> Baton | None: ...
def otel_fields(propagation: Propagation | None = None) -> list[str]: ...
def otel_new_trace_id() -> int: ...
def otel_new_span_id() -> int: ...
def otel_sample(
    rate: float, trace_id: int, parent: tuple[int, int, str] | None, carried: Carried | None
) -> tuple[bool, str]: ...
@final
class Counts:
    """How many spans, log lines and ledger events."""

    @property
    def spans(self) -> int: ...
    @property
    def logs(self) -> int: ...
    @property
    def ledger(self) -> int: ...
    @property
    def total(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class ShutdownReport:
    """What an export came to."""

    @property
    def exported(self) -> Counts: ...
    @property
    def dropped(self) -> Counts:
        """What was not kept until the end: memory was full, the endpoint refused it, or it was given up."""

    @property
    def refused(self) -> Counts:
        """Of what was dropped, that which the endpoint refused."""

    @property
    def given_up(self) -> Counts:
        """Of what was dropped, that which the endpoint failed on for long while it took the rest."""

    @property
    def lost(self) -> Counts:
        """What was still held when the deadline came."""

    @property
    def is_complete(self) -> bool: ...

def init(
    service_name: str | None = None,
    *,
    resource: Sequence[tuple[str, str]] | None = None,
    propagation: Propagation | None = None,
    log_format: Literal["json", "text"] = "json",
    log_level: Literal["trace", "debug", "info", "warn", "error"] = "info",
    spans: Literal["otlp", "host"] = "otlp",
) -> None:
    """Starts the export of spans, ledger events and log lines, as the `OTEL_*` variables say.

    With `spans="host"` the application's own OpenTelemetry SDK records the spans of hops.

    A second call replaces the first.
    """

def flush(timeout_ms: int = 5000) -> bool:
    """Sends everything recorded so far; tells whether it arrived within the deadline.

    `timeout_ms` is 0 or more, else it is a `ValueError`.
    """

def shutdown(timeout_ms: int = 5000) -> ShutdownReport:
    """Sends what is left within the deadline, stops, and tells what came of it all.

    `timeout_ms` is 0 or more, else it is a `ValueError`.
    """
