"""Ours and the peer in pairs, one right after the other, in CPU time of the whole process."""

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

    A turn of the peer may take many times as long as one of ours. What else the machine does changes
    meanwhile, so the peer has fewer turns at a time then, `peer_count`, and both are asked more often.
    """

    metric: str
    peer_name: str
    count: int
    ours: Work
    peer: Work
    bare: Work | None = None
    settle: Callable[[], object] = nothing
    made: Made = field(default_factory=dict)
    peer_count: int = 0


def cost(work: Work, count: int, settle: Callable[[], object]) -> float:
    """Returns microseconds of CPU for one turn."""
    start = time.process_time()
    work(count)
    settle()
    return (time.process_time() - start) / count * 1e6


def run(case: Case, rounds: int) -> dict[str, object]:
    """Runs a case and returns its line: medians of what each pair differs from what is done without either."""
    peer_count = case.peer_count or case.count
    pairs = rounds * (case.count // peer_count)
    ours: list[float] = []
    peer: list[float] = []
    ratios: list[float] = []
    # What the last case left to threads is not this one's.
    case.settle()
    before = arrived()
    # The first pair warms up: caches, lazily made objects, connections.
    for at in range(pairs + 1):
        bare = cost(case.bare, case.count, case.settle) if case.bare else 0.0
        own = max(cost(case.ours, case.count, case.settle) - bare, 1e-4)
        other = cost(case.peer, peer_count, case.settle) - bare
        if at > 0:
            ours.append(own)
            peer.append(other)
            ratios.append(other / own)
    check(case, {"bench": (pairs + 1) * case.count, "b": (pairs + 1) * peer_count}, before)
    return {
        "metric": case.metric,
        "ours": round(statistics.median(ours), 4),
        "peer": round(statistics.median(peer), 4),
        "peer_name": case.peer_name,
        "unit": "us",
        "ratio": round(statistics.median(ratios), 2),
    }


def check(case: Case, turns: dict[str, int], before: Made) -> None:
    """Fails unless as much has arrived as these turns make: else one side left out what the other did."""
    after = arrived()
    for service, kinds in case.made.items():
        for kind, each in kinds.items():
            since = after.get(service, {}).get(kind, 0) - before.get(service, {}).get(kind, 0)
            wanted = each * turns[service]
            if since != wanted:
                sys.exit(f"{case.metric}: {wanted} {kind} of {service!r} were made, {since} arrived")


def keep(lines: list[dict[str, object]]) -> None:
    """Adds lines to the table, in place of older ones of the same metrics."""
    TARGET.parent.mkdir(exist_ok=True)
    names = {line["metric"] for line in lines}
    old = TARGET.read_text().splitlines() if TARGET.exists() else []
    kept = [line for line in old if json.loads(line)["metric"] not in names]
    TARGET.write_text("".join(line + "\n" for line in [*kept, *map(json.dumps, lines)]))
