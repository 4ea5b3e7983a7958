"""The standard library's `logging` with the ids of the current hop."""

import logging
import traceback
from collections.abc import MutableMapping
from typing import Any

from tracebaton import _native

# What every record has; anything else came by `extra=` and is a field of the line.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogHandler(logging.Handler):
    """Writes records as `Logger` does: a line on stdout, and OTLP.

    `logging.basicConfig(handlers=[tracebaton.LogHandler()], level="INFO")` is all it takes. What is
    given by `extra=` becomes fields of the line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {key: value for key, value in vars(record).items() if key not in _OWN}
            if record.exc_info and record.exc_info[1] is not None:
                kind, error, trace = record.exc_info
                fields["exception.type"] = _name(kind) if kind else ""
                fields["exception.message"] = error  # its text is asked for where it may raise
                fields["exception.stacktrace"] = "".join(
                    traceback.format_exception(kind, error, trace)
                )
            if record.stack_info:
                fields["code.stacktrace"] = record.stack_info
            _native.log(record.levelno, record.getMessage(), fields, action=record.name)
        except Exception:
            self.handleError(record)


def _name(kind: type) -> str:
    """Returns a type's name as spans and the ledger have it."""
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"


class LogFilter(logging.Filter):
    """Lets every record through, with `trace_id`, `span_id` and `legacy_id` added.

    For formats of one's own: `"%(levelname)s [trace_id=%(trace_id)s] %(message)s"`. Outside a hop
    and outside a span of the host's own OpenTelemetry the three are empty.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        trace_id, span_id, legacy_id = _native.current_ids() or ("", None, None)
        record.trace_id = trace_id
        record.span_id = span_id or ""
        record.legacy_id = legacy_id or ""
        return True


def structlog_ids(logger: object, method: str, event: MutableMapping[str, Any]) -> Any:
    """Adds `trace_id`, `span_id` and `legacy_id` to structlog's events, as one of its processors.

    What an event has under these names already stays.
    """
    ids = zip(("trace_id", "span_id", "legacy_id"), _native.current_ids() or ())
    for name, value in ids:
        if value is not None:
            event.setdefault(name, value)
    return event


_METHODS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def fast_logger(logger: logging.Logger) -> logging.Logger:
    """Lets a logger of `logging` write its lines as `Logger` does, past every handler.

    `debug`, `info`, `warning`, `error` and `critical` of this one logger then cost what a `Logger`
    costs. Levels and `disabled` count as ever, handlers, filters and parents do not. Calls with
    `exc_info` or `stack_info`, and `exception` and `log`, go through `logging` to a `LogHandler`.
    """
    slow = logging.Logger(logger.name, logging.NOTSET)
    slow.addHandler(LogHandler())
    for name, level in _METHODS.items():
        method = _native.FastMethod(logger, level, getattr(slow, name))
        setattr(logger, name, method.call)
    logger.handlers[:] = slow.handlers
    logger.propagate = False
    return logger
