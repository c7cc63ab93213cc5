"""Commands in processes of their own: Ray ends the process that uses it when one of its own processes fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

_MARK = "RECBOLE_SIBRAR_TEST"
"""Environment variable that all processes of a command inherit."""


@pytest.fixture(scope="session")
def run_command() -> Callable[[str, Sequence[str], Path], subprocess.CompletedProcess[str]]:
    """A function that runs a command of the package in a folder: ``run_command("run_hyper", arguments, folder)``."""
    return _run


def _run(name: str, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its output; no process of it may be left three minutes later."""
    mark = str(uuid4())
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    environment = {**os.environ, "RAY_TMPDIR": "/tmp/ray", _MARK: mark}
    # by which Ray knows its own tests, and then needs other libraries
    environment.pop("PYTEST_CURRENT_TEST", None)
    left: list[psutil.Process] = []
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        left = psutil.wait_procs(_marked(mark), timeout=180)[1]
    finally:
        for process in _marked(mark):
            process.kill()
    assert not left, left
    return done


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                found.append(process)
        except psutil.Error:  # it has ended, or belongs to someone else
            continue
    return found
