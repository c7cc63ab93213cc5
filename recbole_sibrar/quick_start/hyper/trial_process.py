"""Start of a trial's process, and its messages."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_sibrar.quick_start.group.single_run import SPECIFICATION
from recbole_sibrar.quick_start.hyper.messages import receive
from recbole_sibrar.quick_start.run.child_process import Children, reason_of

__all__ = ["LOG", "TrialError", "prepare", "run"]

LOG = "log.txt"
"""Output of the process, in the folder of a trial."""

_CLASS_OF_ERROR = re.compile(r"^(ValueError|ConfigError|RuntimeError): ")

_LONGEST_REASON = 500


class TrialError(Exception):
    """A trial has failed; the message is the reason, in one line."""


def prepare(folder: Path, specification: Mapping[str, object]) -> None:
    """Make the folder of a trial, without files of an interrupted attempt.

    Args:
        folder: Folder of the trial.
        specification: Content of ``run.yaml``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / SPECIFICATION).write_text(yaml.safe_dump(dict(specification)), encoding="utf-8")


def run(
    folder: Path,
    task: str,
    children: Children,
    report: Callable[[dict[str, Any]], None],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Run a task of :mod:`~recbole_sibrar.quick_start.hyper.objective` to its end.

    Args:
        folder: Prepared folder of the trial.
        task: ``train`` or ``test``.
        children: Processes of this command.
        report: Takes each message. The process continues after it returns; an exception ends it.
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
        pass  # the process has ended in the middle of a line
    except BaseException:
        # Also for Ctrl-C and a stopped trial: the process would train on.
        process.kill()
        raise
    finally:
        status = process.wait()

    if message.get("done"):
        return message
    raise TrialError(_reason(status, folder / LOG))


def _start(
    folder: Path, task: str, children: Children, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the process of a task; return it and the connection."""
    # A socket, because the output of the process is full of messages of RecBole and libraries.
    ours, theirs = socket.socketpair()
    module = "recbole_sibrar.quick_start.hyper.objective"
    command = [
        sys.executable,
        "-m",
        module,
        str(folder),
        str(os.getpid()),
        str(theirs.fileno()),
        task,
    ]

    # Only the child keeps its end open: its end of file shows the search that it has ended.
    with theirs, open(folder / LOG, "ab") as log:
        process = children.start(
            command,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    if process is None:
        ours.close()
        raise TrialError("the search has ended")
    return process, ours


def _reason(status: int, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    reason = _CLASS_OF_ERROR.sub("", reason_of(status, text))
    return reason[:_LONGEST_REASON]
