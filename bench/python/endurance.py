"""Whether memory stays where it is: `python endurance.py messages|cycles [COUNT]`.

Telemetry goes to a live endpoint in a process of its own. Samples of the resident memory go to
stderr, the outcome to stdout as JSON: by how much memory, threads and open files have grown from the
first quarter to the end. It fails where they have.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import tracebaton
from live import endpoint
from messages import SHORT, records

SAMPLES = 20
MAX_GROWN_MIB = 16.0
FLUSH_EVERY = 10_000


def sample() -> dict[str, float]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
    }


def messages(start: int, end: int, log: tracebaton.Logger, given: list[Any]) -> None:
    for at in range(start, end):
        with tracebaton.process(given[at % len(given)], group="endurance") as hop:
            log.info("made an invoice", lines=3)
            hop.output("invoices").delivered(1, at)
        # Nothing else slows this down to what an endpoint takes.
        if at % FLUSH_EVERY == 0:
            tracebaton.flush(30_000)


def cycles(start: int, end: int, log: tracebaton.Logger, given: list[Any]) -> None:
    for at in range(start, end):
        tracebaton.init("endurance")
        messages(at, at + 1, log, given)
        assert tracebaton.shutdown(10_000).is_complete


def main() -> int:
    what = sys.argv[1] if len(sys.argv) > 1 else "messages"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    with endpoint() as table:
        log, given = tracebaton.Logger("billing"), records(1_000, SHORT)
        run = {"messages": messages, "cycles": cycles}[what]
        if what == "messages":
            tracebaton.init("endurance")
        taken = []
        for part in range(SAMPLES):
            run(count * part // SAMPLES, count * (part + 1) // SAMPLES, log, given)
            taken.append(sample())
            print(part + 1, taken[-1], file=sys.stderr, flush=True)
        report = tracebaton.shutdown(10_000)
    first, last = taken[SAMPLES // 4 - 1], taken[-1]
    grown = {name: round(last[name] - first[name], 1) for name in first}
    print(json.dumps({"what": what, "count": count, "mib": last["mib"], "grown": grown}), file=table)
    is_flat = grown["mib"] < MAX_GROWN_MIB and grown["threads"] <= 0 and grown["files"] <= 0
    return 0 if is_flat and report.is_complete else 1


if __name__ == "__main__":
    sys.exit(main())
