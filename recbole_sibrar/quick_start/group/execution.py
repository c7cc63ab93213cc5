"""Execution of a comparison's runs, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO, Protocol

import yaml
from tqdm import tqdm

from recbole_sibrar.files import try_lock
from recbole_sibrar.quick_start.group import record
from recbole_sibrar.quick_start.group.runs import CONFIGURATION, CURVE, ENVIRONMENT, LOG, Run
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT, SPECIFICATION
from recbole_sibrar.quick_start.run.child_process import (
    Children,
    interruptible,
    reason_of,
    threads_each,
)
from recbole_sibrar.trainer.restore import AUTO

__all__ = ["LaunchError", "Launcher", "LocalProcesses", "execute", "run_process"]


class LaunchError(Exception):
    """A run could not be started or was lost; the message is the reason, in one line."""


class Launcher(Protocol):
    """Starts the processes of runs."""

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run the specification in a run's folder; return the exit status.

        Args:
            run: The run.
            log: Takes the output of the process.
        """

    def stop(self) -> None:
        """End all processes and start no others."""


class LocalProcesses:
    """Launcher on this machine.

    Args:
        threads: ``OMP_NUM_THREADS`` of each process.
    """

    def __init__(self, threads: str) -> None:
        self.children = Children()
        self.threads = threads

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run the specification in a run's folder; return the exit status."""
        return run_process(run.folder, log, self.threads, self.children)

    def stop(self) -> None:
        """End all processes and start no others."""
        self.children.stop()


def run_process(folder: Path, log: IO[bytes], threads: str, children: Children) -> int:
    """Run the specification in a folder in a process of this machine; return the exit status.

    Args:
        folder: Folder of a run.
        log: Takes the output of the process.
        threads: ``OMP_NUM_THREADS`` of the process.
        children: Processes of this command.
    """
    module = "recbole_sibrar.quick_start.group.single_run"
    command = [sys.executable, "-m", module, str(folder), str(os.getpid())]
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    return children.run(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )


def execute(
    runs: Sequence[Run], jobs: int, note: Callable[[str], None], launcher: Launcher | None = None
) -> list[Run]:
    """Execute the unfinished runs; a failure is reported, and the others continue.

    Args:
        runs: All runs.
        jobs: Number of runs at a time.
        note: Takes a line for each failed run.
        launcher: Starts the processes; None for this machine.

    Returns:
        The failed runs.
    """
    unfinished = [run for run in runs if not run.finished]
    failed: list[Run] = []
    launcher = launcher or LocalProcesses(threads_each(jobs))
    bar = tqdm(total=len(runs), initial=len(runs) - len(unfinished), desc="runs", unit="run")

    # Threads are enough: each only waits for a process.
    with interruptible(), bar, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_execute, run, launcher): run for run in unfinished}
        try:
            for future in as_completed(waiting):
                run = waiting[future]
                reason = future.result()
                if reason:
                    failed.append(run)
                    name = f"{run.variant.name}, seed {run.seed}"
                    note(f"failed: {name}: {reason} ({run.folder / LOG})")
                bar.update()
        except BaseException:
            # First no new runs, then the end of the running ones; else a waiting run would start.
            pool.shutdown(wait=False, cancel_futures=True)
            launcher.stop()
            raise

    return failed


def _execute(run: Run, launcher: Launcher) -> str:
    """Execute a run; return the reason of its failure, or an empty string."""
    run.folder.mkdir(parents=True, exist_ok=True)
    log_file = run.folder / LOG

    with open(log_file, "ab") as log:
        # The lock is that of the open log: the run's process inherits it and holds it to its own
        # end, even if this command is killed. A lock file of this command would be released early.
        if not try_lock(log.fileno()):
            return "another command is running it"
        # The other command may have finished it after the runs were listed.
        if run.finished:
            return ""

        # The output of an interrupted attempt.
        log.truncate(0)
        _prepare(run)
        try:
            status = launcher.launch(run, log)
        except LaunchError as error:
            return str(error)

    if status == 0 and run.finished:
        return ""
    return reason_of(status, log_file.read_text(encoding="utf-8", errors="replace"))


def _prepare(run: Run) -> None:
    """Remove the files of an interrupted attempt and write the description of the run."""
    _clear(run)
    texts = {
        SPECIFICATION: yaml.safe_dump(run.specification),
        CONFIGURATION: yaml.safe_dump(run.configuration, sort_keys=False),
        ENVIRONMENT: json.dumps(record.environment(), indent=1),
    }
    for name, text in texts.items():
        (run.folder / name).write_text(text, encoding="utf-8")


def _clear(run: Run) -> None:
    """Remove all files but the log; with ``resume=auto``, keep checkpoint and learning curve."""
    # The open log holds the lock of the run.
    kept = {run.folder / LOG}
    if run.specification["keys"].get("resume") == AUTO:
        kept |= {(run.folder / CHECKPOINT).parent, run.folder / CURVE}

    for path in run.folder.iterdir():
        if path in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
