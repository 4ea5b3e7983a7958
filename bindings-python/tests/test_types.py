"""The types say what the compiled module does."""

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


def test_every_public_name_is_exported_once() -> None:
    assert sorted(tracebaton.__all__) == list(tracebaton.__all__)
    assert all(hasattr(tracebaton, name) for name in tracebaton.__all__)
