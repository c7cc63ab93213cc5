"""Running a trial: starting its process, and listening to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from recbole_sibrar.quick_start.group.single_run import SPECIFICATION
from recbole_sibrar.quick_start.hyper.messages import receive
from recbole_sibrar.quick_start.run.child_process import Children, reason_of

LOG = "log.txt"
"""File in the folder of a trial with everything that its process has written."""


class TrialError(Exception):
    """A trial has failed; the message is the reason, in one line."""


def prepare(folder: Path, specification: dict[str, Any]) -> None:
    """Make the folder of a trial, without what an interrupted one has left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / SPECIFICATION).write_text(yaml.safe_dump(specification), encoding="utf-8")


def run(
    folder: Path,
    task: str,
    children: Children,
    report: Callable[[dict[str, Any]], None],
    environment: dict[str, str],
) -> dict[str, Any]:
    """Run a task of :mod:`~recbole_sibrar.quick_start.hyper.objective`, and wait for its end.

    Args:
        folder: The prepared folder of the trial.
        task: ``train`` or ``test``.
        children: Where the process is kept.
        report: Takes each message; the process goes on when it returns. What it raises ends the process.
        environment: Variables of the environment to set, such as ``OMP_NUM_THREADS``.

    Returns:
        The last message.

    Raises:
        TrialError: The process has ended without a result.
    """
    message: dict[str, Any] = {}
    process, connection = _start(folder, task, children, environment)
    try:
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            for message in receive(stream):
                report(message)
    except (OSError, json.JSONDecodeError):
        pass  # it has ended, or was ended, in the middle of a line
    except BaseException:
        process.kill()
        raise
    finally:
        status = process.wait()
    if message.get("done"):
        return message
    raise TrialError(_reason(status, folder / LOG))


def _start(
    folder: Path, task: str, children: Children, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process of a task, and the connection to it."""
    ours, theirs = socket.socketpair()
    module = "recbole_sibrar.quick_start.hyper.objective"
    command = [sys.executable, "-m", module, str(folder), str(os.getpid()), str(theirs.fileno()), task]
    with theirs, open(folder / LOG, "ab") as log:
        options: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        process = children.start(command, env={**os.environ, **environment}, pass_fds=[theirs.fileno()], **options)
    if process is None:
        ours.close()
        raise TrialError("the search has ended")
    return process, ours


def _reason(status: int, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    return re.sub(r"^(ValueError|ConfigError|RuntimeError): ", "", reason_of(status, text))[:500]
