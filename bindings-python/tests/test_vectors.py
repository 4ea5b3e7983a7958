"""Runs the committed vectors, and every file named in `TRACEBATON_VECTORS`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tracebaton

FOLDER = Path(__file__).parents[2] / "tests" / "vectors"
COUNTS = {"peers.jsonl": 297, "probes.jsonl": 78, "legacy_map.jsonl": 25}

Row = dict[str, Any]


def outcome(row: Row) -> Row:
    """Says what was read in the vectors' own words."""
    name = row["format"].removeprefix("w3c-")
    found = tracebaton.Propagation(read=[name]).extract(row["headers"], medium="http")
    baton = found.baton
    entries = [list(entry) for entry in baton.baggage]
    return {
        "valid": bool(entries) if name == "baggage" else baton.trace_id is not None,
        "trace_id": baton.trace_id,
        "span_id": baton.span_id,
        "flags": baton.flags,
        "tracestate": baton.tracestate,
        "baggage": entries,
        "debug": baton.is_debug,
        "deferred": baton.is_deferred,
    }


def agrees(expected: Row, actual: Row) -> bool:
    return all(want is None or actual.get(key) == want for key, want in expected.items())


def allowed(row: Row) -> list[Row]:
    """Returns the outcomes that are right; none where a row leaves it open and does not say what is ours."""
    expected: Row = row["spec_expected"] if "spec_expected" in row else row["expected"]
    if "ours" in row:
        ours: Row = expected if row["ours"] == "expected" else row["ours"]
        return [ours]
    if row.get("verdict") == "open" or row.get("level") in ("MAY", "undefined"):
        return []
    if row.get("verdict") == "contrary" and "spec_expected" not in row:
        return []
    return [expected, *row.get("also_ok", [])]


def passes(row: Row) -> bool:
    if "raw" in row:
        found = tracebaton.extract([("trace_id", row["raw"])])
        return bool(found.trace_id == row["trace_id"])
    actual, right = outcome(row), allowed(row)
    return not right or any(agrees(expected, actual) for expected in right)


@pytest.fixture(scope="module")
def passed() -> Iterator[list[bool]]:
    """Collects every outcome, and prints how many there were."""
    outcomes: list[bool] = []
    yield outcomes
    print(f"vectors: {sum(outcomes)}/{len(outcomes)}")


def run(path: Path, passed: list[bool]) -> int:
    """Runs one file, prints its line, and returns how many rows were run."""
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    outcomes = [passes(row) for row in rows]
    passed += outcomes
    failed = [row.get("id", row.get("raw")) for row, good in zip(rows, outcomes) if not good]
    print(f"{path}: {sum(outcomes)} of {len(rows)} passed {failed}")
    assert not failed
    return len(rows)


@pytest.mark.parametrize("name", COUNTS)
def test_every_committed_vector_passes(name: str, passed: list[bool]) -> None:
    assert run(FOLDER / name, passed) == COUNTS[name], "the committed file has changed"


def test_vectors_from_elsewhere_pass_too(passed: list[bool]) -> None:
    for path in filter(None, os.environ.get("TRACEBATON_VECTORS", "").split(":")):
        assert run(Path(path), passed) > 0, f"{path} holds no vector"
