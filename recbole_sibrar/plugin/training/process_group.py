"""Joining the processes that train one model, and keeping all but the first of them quiet."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import recbole.quick_start.quick_start as quick_start
import torch
import torch.distributed as dist
from recbole.config import Config
from recbole.utils import ModelType
from torch.distributed.constants import default_pg_timeout

from recbole_sibrar.config import ConfigError
from recbole_sibrar.trainer.log import QuietHandler

if TYPE_CHECKING:
    # It is there in torch.distributed, but not named.
    from torch._C._distributed_c10d import Store

_MEETING_TIME = timedelta(minutes=10)
"""Time of a process to wait for the others."""

_QUIET = {
    "state": "ERROR",
    "show_progress": False,
    "log_wandb": False,
    "tensorboard": "none",
    "save_dataset": False,
    "save_dataloaders": False,
}
"""Keys of the processes that leave it to the first one to say and to save something."""


def init_device(original: Callable[..., None], config: Config) -> None:
    """Choose the device, and join the other processes of the run, on GPUs or on CPUs.

    RecBole's own way needs a GPU for each process, and takes the first process of each machine for
    the one that logs and saves. Here that is the process with rank 0, which is what ``local_rank``
    says from here on.

    Raises:
        ConfigError: The model cannot be trained by several processes, or they do not find each
            other.
    """
    final = config.final_config_dict
    local_rank = final.pop("local_rank", None)
    original(config)
    # A single one can be started by torchrun.
    if local_rank is None or final["world_size"] == 1:
        return
    if config["MODEL_TYPE"] is ModelType.DECISIONTREE:
        raise ConfigError(
            f"--nproc: found {final['nproc']}, allowed is 1 for {config.model}, which has no "
            "gradients"
        )
    if final["device"].type == "cuda":
        final["device"] = torch.device("cuda", local_rank)
        torch.cuda.set_device(local_rank)
    _join(final, local_rank + final["offset"])
    final.update(single_spec=False, local_rank=dist.get_rank())
    if dist.get_rank() > 0:
        final.update(_QUIET)


def _join(final: dict[str, Any], rank: int) -> None:
    if dist.is_initialized():
        return
    backend = "cpu:gloo,cuda:nccl" if final["device"].type == "cuda" else "gloo"
    address = f"{final['ip']}:{final['port']}"
    count = final["world_size"]
    try:
        # The port was opened by torchrun, which waits for all.
        if "TORCHELASTIC_RUN_ID" in os.environ:
            dist.init_process_group(backend, "env://", rank=rank, world_size=count)
        else:
            store = _meet(final, rank, address)
            dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    except (dist.DistError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--ip, --port: {count} processes did not meet at {address}: {reason}"
        ) from None


def _meet(final: dict[str, Any], rank: int, address: str) -> Store:
    """Wait for all processes and return their store; collectives have torch's own time limit."""
    count = final["world_size"]
    port = int(final["port"])
    # Others have to be started by hand.
    if final["nproc"] < count and rank == final["offset"]:
        print(f"waiting for {count} processes at {address}", file=sys.stderr)  # noqa: T201

    if not 0 <= port < 2**16:
        raise ValueError(f"port must have value from 0 to 65535 but was {port}.")
    store: Store = dist.TCPStore(  # type: ignore[attr-defined]  # exported without being named
        final["ip"],
        port,
        count,
        is_master=rank == 0,
        timeout=_MEETING_TIME,
        wait_for_workers=True,
        multi_tenant=True,
    )
    store.set_timeout(default_pg_timeout)
    return store


class _NoWriter:
    """Writer for TensorBoard without any output."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def get_tensorboard(original: Callable[..., Any], logger: logging.Logger) -> Any:
    """RecBole's TensorBoard writer, or none for a process without logs."""
    if any(isinstance(handler, QuietHandler) for handler in logger.handlers):
        return _NoWriter()
    return original(logger)


def run_rank(local_rank: int, *arguments: Any) -> None:
    """Run one process of RecBole's ``run(nproc=...)``, in place of its ``run_recboles``.

    This function lives in our package, so that every process registers the plugin.

    Args:
        local_rank: Number of the process on its machine.
        arguments: Those of ``run_recbole``, the last of them as a dictionary.
    """
    *positional, named = arguments
    keys = {**(named.get("config_dict") or {}), "local_rank": local_rank}
    quick_start.run_recbole(*positional, **{**named, "config_dict": keys})
