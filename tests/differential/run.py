"""Reads header sets, one a line, and says what the Python binding makes of each."""

import json
import sys
from typing import Any

import tracebaton

FORMATS = sys.argv[1].split(",")
propagation = tracebaton.Propagation(read=FORMATS)


def outcome(row: dict[str, Any]) -> dict[str, Any]:
    # Every character stands for one byte.
    headers = [(name, value and value.encode("latin-1")) for name, value in row["headers"]]
    found = propagation.extract(headers, medium=row["medium"])
    baton, source = found.baton, found.source
    return {
        "trace_id": baton.trace_id,
        "span_id": baton.span_id,
        "flags": baton.flags,
        "tracestate": baton.tracestate,
        "baggage": [list(entry) for entry in baton.baggage],
        "legacy_id": baton.legacy_id,
        "is_debug": baton.is_debug,
        "is_deferred": baton.is_deferred,
        "source": source and [source.place, source.format, source.name, source.is_trusted],
        "refused": [[refusal.name, refusal.kind] for refusal in found.refused],
        "written": [
            [name, value.decode() if isinstance(value, bytes) else value]
            for name, value in propagation.inject(baton, [], medium=row["medium"])
        ],
    }


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))))
