"""Starting a run: in this process, in several of this machine, or as one of several that were started elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recbole.quick_start.quick_start as recbole_quick_start
import torch
from recbole.config import Config
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException, start_processes

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.trainer.process_group import run_rank


_WRONG_INPUT = ("ConfigError", "DataError", "CheckpointError", "ValueError", "NotImplementedError")
"""Failures that are about what the user gave."""


class ProcessError(RuntimeError):
    """One of several processes has failed; the message says which one and why."""


@dataclass(frozen=True)
class Processes:
    """How many processes train one model, and where (the options of RecBole's ``run_recbole.py``)."""

    nproc: int = 1
    """Processes on this machine."""
    world_size: int = -1
    """Processes on all machines; -1 for ``nproc``."""
    group_offset: int = 0
    """Rank of this machine's first process."""
    ip: str = "localhost"
    """Address of the machine with rank 0."""
    port: str | None = None
    """Port on that machine; None for a free one on a single machine, and RecBole's 5678 on several."""
    local_rank: int | None = None
    """Number of this process on its machine, where ``torchrun`` has started it."""

    @property
    def single(self) -> bool:
        """Whether the run stays in this process alone."""
        return self.local_rank is None and self.nproc == 1 and self.world_size <= 0

    @property
    def is_first(self) -> bool:
        """Whether this command is where rank 0 is."""
        return self.group_offset + (self.local_rank or 0) == 0

    @property
    def total(self) -> int:
        """Processes on all machines."""
        return self.world_size if self.world_size > 0 else self.nproc

    def check(self, gpu_id: str = "0") -> None:
        """Check that the run can be started as it is asked for.

        Args:
            gpu_id: The configuration's key: the GPUs to use, or nothing for the CPU.

        Raises:
            ConfigError: The numbers do not fit together, or there are fewer GPUs than processes.
        """
        if self.nproc < 1:
            refuse("--nproc", self.nproc, "a positive number of processes")
        if self.world_size not in (-1, 0) and self.world_size < self.nproc:
            refuse("--world_size", self.world_size, f"at least --nproc, which is {self.nproc}")
        if not 0 <= self.group_offset <= self.total - self.nproc:
            allowed = f"0 to {self.total - self.nproc}, so that {self.nproc} of {self.total} ranks are on this machine"
            refuse("--group_offset", self.group_offset, allowed)
        if self.port is not None and not (self.port.isdecimal() and 0 < int(self.port) < 65536):
            refuse("--port", self.port, "a number from 1 to 65535")
        chosen = [gpu for gpu in str(gpu_id).strip("()[]").split(",") if gpu.strip()]
        gpus = min(len(chosen), torch.cuda.device_count())
        if gpus and not self.single and self.nproc > gpus:
            allowed = f"up to the {gpus} GPUs of this machine that gpu_id names, or any number with --gpu_id= on CPUs"
            refuse("--nproc", self.nproc, allowed)


def torchrun_processes(environment: Mapping[str, str]) -> Processes | None:
    """What ``torchrun`` says of the process that it has started; None for one that it has not started.

    Args:
        environment: The process's environment.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    rank, local_rank = int(environment["RANK"]), int(environment["LOCAL_RANK"])
    return Processes(
        nproc=int(environment["LOCAL_WORLD_SIZE"]),
        world_size=int(environment["WORLD_SIZE"]),
        group_offset=rank - local_rank,
        ip=environment["MASTER_ADDR"],
        port=environment["MASTER_PORT"],
        local_rank=local_rank,
    )


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
    _join(context, errors, processes.group_offset)
    return None if queue.empty() else queue.get()


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
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // nproc)))


def _run_worker(local_rank: int, errors: Any, *arguments: Any) -> None:
    """Run one of the processes, and say why it failed if it does."""
    try:
        run_rank(local_rank, *arguments)
    except Exception as error:
        errors.put((time.monotonic(), local_rank, type(error).__name__, " ".join(str(error).split())))
        raise


def _join(context: ProcessContext, errors: Any, offset: int) -> None:
    """Wait for all processes; when one fails, end the others.

    Raises:
        ProcessError: One has failed.
    """
    try:
        while not context.join():
            pass
    except (ProcessRaisedException, ProcessExitedException):
        found = []
        while not errors.empty():
            found.append(errors.get())
        raise _reason(found, [process.exitcode for process in context.processes], offset) from None
    except BaseException:
        for process in context.processes:
            process.terminate()
        raise


def _reason(found: list[tuple[float, int, str, str]], statuses: list[int | None], offset: int) -> Exception:
    """Why processes have ended: the first failure that is not about the end of another process."""
    own = [one for one in found if not _lost_connection(one[3])]
    ended = [rank for rank, status in enumerate(statuses) if status not in (0, 1, None, -signal.SIGTERM)]
    if ended and not own:
        status = statuses[ended[0]] or 0
        by = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ProcessError(f"rank {offset + ended[0]} was ended by {by}; the other processes were ended too")
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
