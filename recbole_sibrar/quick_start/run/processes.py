"""Start of a run: in this process, in several on this machine, or as one started elsewhere."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import recbole.quick_start.quick_start as recbole_quick_start
import torch
from recbole.config import Config
from torch.multiprocessing.spawn import ProcessContext, start_processes

from recbole_sibrar.config import refuse
from recbole_sibrar.errors import one_line
from recbole_sibrar.plugin.training.process_group import run_rank
from recbole_sibrar.quick_start.run.child_process import threads_each
from recbole_sibrar.quick_start.run.joining import Failure, Queue, join
from recbole_sibrar.quick_start.run.process_options import Processes
from recbole_sibrar.trainer.interruption import let_sigterm_end_this_process

__all__ = ["download", "run"]

_RECBOLE_PORT = "5678"

_LONGEST_MESSAGE = 2000
"""Characters of an error from a process."""


def run(
    model: str,
    dataset: str,
    config_files: list[str],
    config_dict: dict[str, Any],
    processes: Processes,
) -> dict[str, Any] | None:
    """Train and test a model with RecBole's ``run_recbole``.

    Args:
        model: Name of the model, ours or RecBole's.
        dataset: Name of the data set.
        config_files: Paths of yaml files; later files override earlier ones.
        config_dict: Keys and values that override the files.
        processes: Processes of the run.

    Returns:
        The result of RecBole's ``run_recbole``; None on a machine without rank 0.

    Raises:
        ProcessError: One of several processes has failed; the others were ended.
    """
    result: dict[str, Any] | None
    files = config_files or None
    if processes.single:
        result = recbole_quick_start.run_recbole(model, dataset, files, config_dict)
        return result

    keys = {**config_dict, **_keys_of_processes(processes)}
    if processes.local_rank is not None:
        keys["local_rank"] = processes.local_rank
        result = recbole_quick_start.run_recbole(model, dataset, files, keys)
        return result

    # All processes on all cores would wait for each other.
    os.environ["OMP_NUM_THREADS"] = threads_each(processes.nproc)
    return _spawn(model, dataset, files, keys, processes)


def _keys_of_processes(processes: Processes) -> dict[str, Any]:
    """Return RecBole's keys of several processes."""
    return {
        "world_size": processes.total,
        "ip": processes.ip,
        "port": processes.port or _port(processes),
        "nproc": processes.nproc,
        "offset": processes.group_offset,
    }


def _spawn(
    model: str, dataset: str, files: list[str] | None, keys: dict[str, Any], processes: Processes
) -> dict[str, Any] | None:
    """Start the processes of this machine and wait for them."""
    # CUDA cannot be used in forked processes.
    spawning = torch.multiprocessing.get_context("spawn")
    results = spawning.SimpleQueue()
    errors = spawning.SimpleQueue()

    arguments = (errors, model, dataset, files, {"config_dict": keys, "queue": results})
    context: ProcessContext | None = start_processes(
        _run_worker, arguments, processes.nproc, join=False
    )
    assert context is not None
    return join(context, results, errors, processes.group_offset)


def download(config: Config, processes: Processes) -> None:
    """Download a missing data set once, before several processes would do so.

    Raises:
        ConfigError: The processes have been started already.
    """
    if Path(config["data_path"]).exists():
        return
    if processes.local_rank is not None:
        advice = "run_recbole without torchrun downloads those that RecBole knows"
        refuse("--dataset", config["data_path"], f"a data set that is there; {advice}")
    recbole_quick_start.create_dataset(config)


def _port(processes: Processes) -> str:
    """Find a free port on a single machine; several machines have to agree on RecBole's."""
    if processes.total > processes.nproc:
        return _RECBOLE_PORT
    with socket.socket() as free:
        # Port 0 lets the system choose one.
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def _run_worker(local_rank: int, errors: Queue, *arguments: object) -> None:
    """Run one of the processes; send its failure to the command."""
    let_sigterm_end_this_process()
    try:
        run_rank(local_rank, *arguments)
    except Exception as error:
        message = one_line(error, _LONGEST_MESSAGE)
        failure = Failure(time.monotonic(), local_rank, type(error).__name__, message)
        # A plain tuple; the error itself may not be picklable.
        errors.put(tuple(failure))
        raise
