"""One trace through the whole relay: HTTP, Kafka, transforms in three languages, ClickHouse.

    import tracebaton

    tracebaton.init("billing")
    log = tracebaton.Logger("billing")

    with tracebaton.process(message, group="billing") as hop:
        output = hop.output("invoices")
        producer.produce("invoices", value, headers=output.headers, on_delivery=output.on_delivery)
        log.info("made an invoice")
"""

from tracebaton._consume import consume
from tracebaton._current import current_hop
from tracebaton._logging import LogFilter, LogHandler, fast_logger, structlog_ids
from tracebaton._native import (
    Batch,
    Baton,
    ConfigError,
    Counts,
    Extracted,
    Hop,
    Insert,
    Logger,
    Output,
    PayloadError,
    Propagation,
    Refusal,
    ShutdownReport,
    Source,
    TracebatonError,
    extract,
    extract_payload,
    flush,
    init,
    inject,
    inject_payload,
    insert,
    process,
    refusals,
    shutdown,
)
from tracebaton._transform import transform

__all__ = [
    "Batch",
    "Baton",
    "ConfigError",
    "Counts",
    "Extracted",
    "Hop",
    "Insert",
    "LogFilter",
    "LogHandler",
    "Logger",
    "Output",
    "PayloadError",
    "Propagation",
    "Refusal",
    "ShutdownReport",
    "Source",
    "TracebatonError",
    "consume",
    "current_hop",
    "extract",
    "extract_payload",
    "fast_logger",
    "flush",
    "init",
    "inject",
    "inject_payload",
    "insert",
    "process",
    "refusals",
    "shutdown",
    "structlog_ids",
    "transform",
]
