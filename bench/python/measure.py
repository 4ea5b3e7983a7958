"""Interleaved rounds of ours and the peer, in CPU time of the whole process."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from live import arrived

Work = Callable[[int], object]
Made = dict[str, dict[str, int]]
TARGET = Path(__file__).parents[2] / "target" / "bench.jsonl"


def nothing() -> object:
    return None


@dataclass
class Case:
    """Two ways of doing the same, and `bare`, what is done without either.

    `settle` waits for what was left to threads in the background; that is paid for too. `made` is what
    a turn makes, by `service.name`: as much has to have arrived.
    """

    metric: str
    peer_name: str
    count: int
    ours: Work
    peer: Work
    bare: Work | None = None
    settle: Callable[[], object] = nothing
    made: Made = field(default_factory=dict)


def cost(work: Work, count: int, settle: Callable[[], object]) -> float:
    """Returns microseconds of CPU for one turn."""
    start = time.process_time()
    work(count)
    settle()
    return (time.process_time() - start) / count * 1e6


def run(case: Case, rounds: int) -> dict[str, object]:
    """Runs a case and returns its line."""
    taken: dict[str, list[float]] = {"ours": [], "peer": [], "bare": []}
    works = {"ours": case.ours, "peer": case.peer, "bare": case.bare}
    # What the last case left to threads is not this one's.
    case.settle()
    before = arrived()
    # The first round warms up: caches, lazily made objects, connections.
    for at in range(rounds + 1):
        for name, work in works.items():
            if work is not None:
                found = cost(work, case.count, case.settle)
                if at > 0:
                    taken[name].append(found)
    check(case, (rounds + 1) * case.count, before)
    bare = statistics.median(taken["bare"]) if taken["bare"] else 0.0
    ours = max(statistics.median(taken["ours"]) - bare, 1e-4)
    peer = statistics.median(taken["peer"]) - bare
    return {
        "metric": case.metric,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "peer_name": case.peer_name,
        "unit": "us",
        "ratio": round(peer / ours, 2),
    }


def check(case: Case, turns: int, before: Made) -> None:
    """Fails unless as much has arrived as these turns make: else one side left out what the other did."""
    after = arrived()
    for service, kinds in case.made.items():
        for kind, each in kinds.items():
            since = after.get(service, {}).get(kind, 0) - before.get(service, {}).get(kind, 0)
            if since != each * turns:
                wanted = each * turns
                sys.exit(f"{case.metric}: {wanted} {kind} of {service!r} were made, {since} arrived")


def keep(lines: list[dict[str, object]]) -> None:
    """Adds lines to the table, in place of older ones of the same metrics."""
    TARGET.parent.mkdir(exist_ok=True)
    names = {line["metric"] for line in lines}
    old = TARGET.read_text().splitlines() if TARGET.exists() else []
    kept = [line for line in old if json.loads(line)["metric"] not in names]
    TARGET.write_text("".join(line + "\n" for line in [*kept, *map(json.dumps, lines)]))
