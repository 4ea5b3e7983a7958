"""What every run needs: a live endpoint in a process of its own, and a stdout that costs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.request import urlopen


@contextmanager
def endpoint() -> Iterator[TextIO]:
    """Starts the endpoint and names it in the environment; log lines go to /dev/null.

    Gives the stdout that was there before, for the results.
    """
    table = os.fdopen(os.dup(1), "w", buffering=1)
    sink = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("sink.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert sink.stdout is not None
        port = sink.stdout.readline().strip()
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        yield table
    finally:
        sink.kill()
        sink.wait()


def arrived() -> dict[str, dict[str, int]]:
    """Asks the endpoint how many spans, log lines and ledger events have come, by `service.name`."""
    with urlopen(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]) as answer:
        counts: Any = json.load(answer)
    return counts
