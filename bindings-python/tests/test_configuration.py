"""Settings in code, from the environment and from a file: the core's, with the core's errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracebaton

FILE = """\
tracing:
  trust: restart
  extraction:
    headers: ["X-Request-Id", "X-B3-TraceId"]
    payload_fields: ["meta.id"]
"""


def test_settings_have_the_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "baton.yaml"
    path.write_text(FILE)
    of_file = tracebaton.Propagation.from_yaml(path)
    of_code = tracebaton.Propagation.from_settings(
        {
            "trust": "restart",
            "extraction.headers": ["X-Request-Id", "X-B3-TraceId"],
            "extraction.payload_fields": ["meta.id"],
            "sample_rate": 0.5,
            "enabled": True,
        }
    )
    for rules in (of_file, of_code):
        found = rules.extract([("x-request-id", b"order-1234")])
        assert found.source is not None and not found.source.is_trusted
        found = rules.extract_payload('{"meta":{"id":"order-1234"}}')
        assert found.source is not None and found.source.name == "meta.id"


def test_a_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "baton.yaml"
    path.write_text(FILE.replace("headers", "header"))
    with pytest.raises(tracebaton.ConfigError) as raised:
        tracebaton.Propagation.from_yaml(str(path))
    assert str(raised.value).startswith(f"{path}:4: tracing.extraction.header: there is no such key")
    with pytest.raises(tracebaton.ConfigError, match="^trust: no such policy"):
        tracebaton.Propagation.from_settings({"trust": "maybe"})
    with pytest.raises(tracebaton.ConfigError, match="^read: no such format"):
        tracebaton.Propagation(read=["b4"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="must be bool, float, str or a list of str, not dict"):
        tracebaton.Propagation.from_settings({"extraction": {}})  # type: ignore[dict-item]


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OTEL_SDK_DISABLED": "true", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_environment_sets_the_rules_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "baton.yaml"
    path.write_text(FILE)
    code = (
        "import tracebaton\n"
        "tracebaton.init('t')\n"
        "found = tracebaton.extract([('x-request-id', b'order-1234')])\n"
        "print(found.source.is_trusted, found.baton.legacy_id)"
    )
    ran = run(code, TRACEBATON_CONFIG=str(path), TRACEBATON_TRACING_TRUST="continue")
    assert (ran.stdout, ran.returncode) == ("True order-1234\n", 0), ran.stderr
    ran = run(code, TRACEBATON_TRACING_TRUST="maybe")
    assert ran.returncode != 0
    assert "ConfigError: TRACEBATON_TRACING_TRUST: trust: no such policy" in ran.stderr
