"""Starting a run, in this process or in several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import recbole.quick_start.quick_start as recbole_quick_start
import torch

from recbole_sibrar.config import ConfigError


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
    port: str = "5678"
    """Port on that machine."""

    @property
    def single(self) -> bool:
        """Whether the run stays in this process."""
        return self.nproc == 1 and self.world_size <= 0

    def check(self) -> None:
        """Check that the run can be started as it is asked for.

        Raises:
            ConfigError: RecBole's several processes need a GPU each, and there are fewer.
        """
        gpus = torch.cuda.device_count()
        if not self.single and self.nproc > gpus:
            raise ConfigError(
                f"--nproc: found {self.nproc}, allowed is up to the number of GPUs, which is {gpus}; leave it out"
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
        What RecBole's ``run_recbole`` returns.
    """
    if processes.single:
        return recbole_quick_start.run_recbole(model, dataset, config_files or None, config_dict)
    world_size = processes.world_size if processes.world_size > 0 else processes.nproc
    config_dict = {
        **config_dict,
        "world_size": world_size,
        "ip": processes.ip,
        "port": processes.port,
        "nproc": processes.nproc,
        "offset": processes.group_offset,
    }
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    arguments = (model, dataset, config_files or None, {"config_dict": config_dict, "queue": queue})
    torch.multiprocessing.spawn(run_worker, args=arguments, nprocs=processes.nproc, join=True)
    return None if queue.empty() else queue.get()


def run_worker(rank: int, *arguments: Any) -> None:
    """What each process runs; it lives here so that the process imports, and so registers, the plugin."""
    recbole_quick_start.run_recboles(rank, *arguments)
