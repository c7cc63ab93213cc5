"""Starting a run: in this process, in several of this machine, or as one of several that were started elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import recbole.quick_start.quick_start as recbole_quick_start
import torch
from recbole.config import Config
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException, start_processes

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.errors import ProcessError as ProcessError
from recbole_sibrar.plugin.training.process_group import run_rank
from recbole_sibrar.quick_start.run.child_process import threads_each
from recbole_sibrar.quick_start.run.process_options import Processes
from recbole_sibrar.trainer.interruption import SIGTERM, STATUS, TrainingStopped, let_sigterm_end_this_process

_WRONG_INPUT = ("ConfigError", "DataError", "CheckpointError", "ValueError", "NotImplementedError")
"""Failures that are about what the user gave."""


def run(
    model: str, dataset: str, config_files: list[str], config_dict: dict[str, Any], processes: Processes
) -> dict[str, Any] | None:
    """Train and test a model with RecBole's ``run_recbole``.

    Args:
        model: Name of the model, ours or RecBole's.
        dataset: Name of the data set.
        config_files: Paths of yaml files, later ones going before earlier ones.
        config_dict: Keys and values that go before the files.
        processes: Where to run.

    Returns:
        What RecBole's ``run_recbole`` returns; None on a machine without rank 0.

    Raises:
        ProcessError: One of several processes has failed; the others were ended.
    """
    arguments = (model, dataset, config_files or None)
    if processes.single:
        return recbole_quick_start.run_recbole(*arguments, config_dict)
    keys = {
        **config_dict,
        "world_size": processes.total,
        "ip": processes.ip,
        "port": processes.port or _port(processes),
        "nproc": processes.nproc,
        "offset": processes.group_offset,
    }
    if processes.local_rank is not None:
        return recbole_quick_start.run_recbole(*arguments, {**keys, "local_rank": processes.local_rank})
    _divide_cores(processes.nproc)
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    errors = torch.multiprocessing.get_context("spawn").SimpleQueue()
    context = start_processes(
        _run_worker, (errors, *arguments, {"config_dict": keys, "queue": queue}), processes.nproc, join=False
    )
    assert context is not None
    return _join(context, queue, errors, processes.group_offset)


def download(config: Config, processes: Processes) -> None:
    """Download a data set that is not there yet before there are several processes that would.

    Raises:
        ConfigError: The processes are there already.
    """
    if Path(config["data_path"]).exists():
        return
    if processes.local_rank is not None:
        allowed = "a data set that is there; run_recbole without torchrun downloads those that RecBole knows"
        refuse("--dataset", config["data_path"], allowed)
    recbole_quick_start.create_dataset(config)


def _port(processes: Processes) -> str:
    """A free port where all processes are on this machine; several machines have to agree on one."""
    if processes.total > processes.nproc:
        return "5678"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def _divide_cores(nproc: int) -> None:
    """Let each process compute with its share of the cores; all of them on all cores would wait for each other."""
    os.environ["OMP_NUM_THREADS"] = threads_each(nproc)


def _run_worker(local_rank: int, errors: Any, *arguments: Any) -> None:
    """Run one of the processes, and say why it failed if it does."""
    let_sigterm_end_this_process()
    try:
        run_rank(local_rank, *arguments)
    except Exception as error:
        errors.put((time.monotonic(), local_rank, type(error).__name__, " ".join(str(error).split())[:2000]))
        raise


def _join(context: ProcessContext, queue: Any, errors: Any, offset: int) -> dict[str, Any] | None:
    """Wait for all processes, and for what rank 0 returns if it is one of them; when one fails, end the others.

    Raises:
        ProcessError: One has failed.
    """
    result = None
    try:
        with _passing_on(context):
            while not context.join(timeout=0.2):
                if not queue.empty():  # a process ends when what it sends is read, if that does not fit into a pipe
                    result = queue.get()
        return result if queue.empty() else queue.get()
    except (ProcessRaisedException, ProcessExitedException):
        found = []
        while not errors.empty():
            found.append(errors.get())
        raise _reason(found, [process.exitcode for process in context.processes], offset) from None
    except BaseException:
        for process in context.processes:
            process.terminate()
        raise


@contextmanager
def _passing_on(context: ProcessContext) -> Iterator[None]:
    """Let SIGTERM end the processes within a ``with`` block: they save what they have, and this one waits for them."""

    def pass_on(number: int, frame: Any) -> None:
        for process in context.processes:
            process.terminate()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reason(found: list[tuple[float, int, str, str]], statuses: list[int | None], offset: int) -> BaseException:
    """Why processes have ended: the first failure that is not about the end of another process."""
    stopped = [reason for reason, status in STATUS.items() if status in statuses]
    if stopped:
        return TrainingStopped(stopped[0], "stopped as asked for")
    own = [one for one in found if not _lost_connection(one[3])]
    ended = [rank for rank, status in enumerate(statuses) if status not in (0, 1, None, -signal.SIGTERM)]
    # NCCL aborts a process when another one has failed
    if ended and not (own and statuses[ended[0]] == -signal.SIGABRT):
        status = statuses[ended[0]] or 0
        by = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ProcessError(f"rank {offset + ended[0]} was ended by {by}; the other processes were ended too")
    if not found and -signal.SIGTERM in statuses:
        return TrainingStopped(SIGTERM, "stopped before there was anything to save")
    if not found:
        return ProcessError("a process was ended from outside; the other processes were ended too")
    _, local_rank, kind, message = min(own or found)
    if kind in _WRONG_INPUT:
        return ConfigError(message)
    return ProcessError(f"rank {offset + local_rank} failed: {kind}: {message}")


def _lost_connection(message: str) -> bool:
    return any(
        word in message for word in ("Connection closed by peer", "Connection reset", "Broken pipe", "recvBytes")
    )
