"""The types say what the compiled module does."""

import re
import subprocess
import sys
from pathlib import Path

import tracebaton


def test_the_stub_agrees_with_the_binary() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "tracebaton._native"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_suite_itself_is_typed() -> None:
    folder = Path(__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# What the examples are about, and their functions have no types of their own.
AROUND = """import json
import tracebaton
from typing import Any
message: Any = None
producer = consumer = client = value = log = message
"""


def test_the_examples_of_the_readme_are_typed(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for at, example in enumerate(re.findall(r"```python\n(.*?)```", readme, re.DOTALL)):
        (tmp_path / f"example_{at}.py").write_text(AROUND + example)
    strict = ["--strict", "--allow-untyped-defs", "--allow-untyped-calls", "--check-untyped-defs"]
    command = [sys.executable, "-m", "mypy", *strict, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_is_exported_once() -> None:
    assert sorted(tracebaton.__all__) == list(tracebaton.__all__)
    assert all(hasattr(tracebaton, name) for name in tracebaton.__all__)
