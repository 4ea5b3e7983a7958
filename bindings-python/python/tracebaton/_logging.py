"""The standard library's `logging` with the ids of the current hop."""

import logging
import traceback

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
                fields["exception.type"] = kind.__qualname__ if kind else ""
                fields["exception.message"] = str(error)
                fields["exception.stacktrace"] = "".join(
                    traceback.format_exception(kind, error, trace)
                )
            _native.log(record.levelno, record.getMessage(), fields, action=record.name)
        except Exception:
            self.handleError(record)


class LogFilter(logging.Filter):
    """Lets every record through, with `trace_id`, `span_id` and `legacy_id` added.

    For formats of one's own: `"%(levelname)s [trace_id=%(trace_id)s] %(message)s"`. Outside a hop
    the three are empty.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        hop = _native.current_hop()
        record.trace_id = hop.trace_id if hop else ""
        record.span_id = hop.span_id if hop else ""
        record.legacy_id = (hop.legacy_id if hop else None) or ""
        return True
