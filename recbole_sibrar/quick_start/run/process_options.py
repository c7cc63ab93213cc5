"""Number and place of a run's processes, from the command line or from ``torchrun``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from recbole_sibrar.errors import ConfigError, refuse

__all__ = ["Processes", "add_arguments", "read_processes", "torchrun_processes"]

_LARGEST_PORT = 65535


@dataclass(frozen=True)
class Processes:
    """Processes of one training (the options of RecBole's ``run_recbole.py``)."""

    nproc: int = 1
    """Processes on this machine."""
    world_size: int = -1
    """Processes on all machines; -1 for ``nproc``."""
    group_offset: int = 0
    """Rank of this machine's first process."""
    ip: str = "localhost"
    """Address of the machine with rank 0."""
    port: str | None = None
    """Port on that machine; None for a free one, or RecBole's 5678 on several machines."""
    local_rank: int | None = None
    """Number of this process on its machine if ``torchrun`` has started it."""

    @property
    def single(self) -> bool:
        """True for a run in this process alone."""
        return self.local_rank is None and self.nproc == 1 and self.world_size <= 0

    @property
    def is_first(self) -> bool:
        """True on the machine with rank 0; under ``torchrun``, in the process with rank 0."""
        return self.group_offset + (self.local_rank or 0) == 0

    @property
    def total(self) -> int:
        """Processes on all machines."""
        return self.world_size if self.world_size > 0 else self.nproc

    def own_gpus(self) -> dict[str, str]:
        """Return the key ``gpu_id`` with one GPU for each of several processes.

        It is left out if there are too few GPUs.
        """
        if self.single or not 1 < self.nproc <= _n_gpus():
            return {}
        # RecBole's default is the first GPU alone.
        return {"gpu_id": ",".join(map(str, range(self.nproc)))}

    def check(self, gpu_id: str = "0") -> None:
        """Check the numbers of processes and GPUs.

        Args:
            gpu_id: The configuration's key: the GPUs to use, or nothing for the CPU.

        Raises:
            ConfigError: The numbers contradict each other, or there are fewer GPUs than processes.
        """
        self._check_numbers()
        self._check_address()
        self._check_gpus(gpu_id)

    def _check_numbers(self) -> None:
        if self.nproc < 1:
            refuse("--nproc", self.nproc, "a positive number of processes")
        if self.world_size not in (-1, 0) and self.world_size < self.nproc:
            refuse("--world_size", self.world_size, f"at least --nproc, which is {self.nproc}")

        largest_offset = self.total - self.nproc
        if not 0 <= self.group_offset <= largest_offset:
            reason = f"so that {self.nproc} of {self.total} ranks are on this machine"
            refuse("--group_offset", self.group_offset, f"0 to {largest_offset}, {reason}")

    def _check_address(self) -> None:
        if self.single and (self.ip, self.port) != (Processes.ip, Processes.port):
            raise ConfigError("--ip, --port: have no effect with a single process; leave them out")
        if self.port is None:
            return
        if not self.port.isdecimal() or not 0 < int(self.port) <= _LARGEST_PORT:
            refuse("--port", self.port, f"a number from 1 to {_LARGEST_PORT}")

    def _check_gpus(self, gpu_id: str) -> None:
        # RecBole takes a string such as "0,1"; a list of a yaml file has become its text.
        chosen = [gpu for gpu in str(gpu_id).strip("()[]").split(",") if gpu.strip()]
        n_gpus = min(len(chosen), _n_gpus())
        if n_gpus and not self.single and self.nproc > n_gpus:
            on_gpus = f"up to the {n_gpus} GPUs of this machine that gpu_id names"
            refuse("--nproc", self.nproc, f"{on_gpus}, or any number with --gpu_id= on CPUs")


def _n_gpus() -> int:
    import torch  # takes a second; most commands have not imported it yet

    return torch.cuda.device_count()


def torchrun_processes(environment: Mapping[str, str]) -> Processes | None:
    """Read the variables of ``torchrun``; None for a process that it has not started.

    Args:
        environment: Environment of the process.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None

    # torchrun has no variable for RecBole's offset, the rank of a machine's first process.
    rank = int(environment["RANK"])
    local_rank = int(environment["LOCAL_RANK"])
    return Processes(
        nproc=int(environment["LOCAL_WORLD_SIZE"]),
        world_size=int(environment["WORLD_SIZE"]),
        group_offset=rank - local_rank,
        ip=environment["MASTER_ADDR"],
        port=environment["MASTER_PORT"],
        local_rank=local_rank,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    defaults = Processes()
    parser.add_argument(
        "--nproc", type=int, default=defaults.nproc, help="processes on this machine (default: 1)"
    )
    parser.add_argument("--ip", default=defaults.ip, help="address of the machine with rank 0")
    parser.add_argument("--port", default=defaults.port, help="port on that machine")
    parser.add_argument(
        "--world_size", type=int, default=defaults.world_size, help="processes on all machines"
    )
    about = "rank of this machine's first process"
    parser.add_argument("--group_offset", type=int, default=defaults.group_offset, help=about)


def read_processes(args: argparse.Namespace, environment: Mapping[str, str]) -> Processes:
    """Read the processes of a run from the options, or from ``torchrun``.

    Args:
        args: The parsed options.
        environment: Environment of the process.

    Raises:
        ConfigError: Both are given.
    """
    # torchrun starts this command once per process: the options would start others in each.
    given = Processes(args.nproc, args.world_size, args.group_offset, args.ip, args.port)
    started = torchrun_processes(environment)
    if started and given != Processes():
        options = "--nproc, --world_size, --group_offset, --ip, --port"
        raise ConfigError(f"{options}: leave them out, torchrun has said them")
    return started or given
