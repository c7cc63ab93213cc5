"""Training state in a checkpoint beside RecBole's own, for resumed runs with equal results."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import psutil
import torch
from recbole.trainer import Trainer

from recbole_sibrar.data.record.recording import record_of
from recbole_sibrar.data.record.training_data import KEY
from recbole_sibrar.data.saved.loaders import parts_of
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import LoaderLike
from recbole_sibrar.trainer.plain_values import held_config
from recbole_sibrar.trainer.training_state import training_state

__all__ = [
    "STATE",
    "full_state",
    "loader_states",
    "random_state",
    "runs_elsewhere",
    "set_loader_states",
    "set_random_state",
    "this_process",
]

STATE = "training_state"
"""Key of a checkpoint with the state that RecBole does not save."""


def random_state() -> dict[str, Any]:
    """Return the states of all global random generators, as plain numbers and tensors."""
    name, keys, *rest = cast("tuple[Any, ...]", np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        # A checkpoint holds tensors, and torch hardly supports uint32: int64 has room for every
        # value.
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the states returned by :func:`random_state`."""
    random.setstate(state["python"])

    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))

    torch.set_rng_state(state["torch"].cpu())
    # There may be fewer GPUs now.
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state.cpu(), index)


def loader_states(train_data: LoaderLike) -> list[Any]:
    """Return generator state and epoch of the training loader."""
    # a knowledge-based model has two loaders
    parts = parts_of(train_data)
    return [(part.generator.get_state(), getattr(part, "epoch", 0)) for part in parts]


def set_loader_states(train_data: LoaderLike, states: list[Any]) -> None:
    """Restore the states returned by :func:`loader_states`."""
    # The generators decide the order of the batches, the epoch the negatives of our own loader.
    for loader, (generator, epoch) in zip(parts_of(train_data), states, strict=True):
        loader.generator.set_state(generator.cpu())
        loader.epoch = epoch


def full_state(
    trainer: Trainer,
    epoch: int,
    result: Mapping[str, float] | None,
    loaders: list[Any],
    own: dict[str, Any],
) -> dict[str, Any]:
    """Return RecBole's checkpoint with our state added.

    Every process of a training has to call this.

    Args:
        trainer: RecBole's trainer.
        epoch: Number of the last complete epoch.
        result: The best validation result; None without any validation.
        loaders: States returned by :func:`loader_states`.
        own: State of each single process.
    """
    record = record_of(training_state(trainer).loader)
    state = {
        "best_valid_result": result and {key: float(value) for key, value in result.items()},
        "train_loss_dict": dict(trainer.train_loss_dict),
        "loaders": loaders,
        "ranks": processes.gather(trainer.config, own),
        "process": this_process(),
    }

    return {
        "config": held_config(trainer.config),
        "epoch": epoch,
        "cur_step": trainer.cur_step,
        "best_valid_score": float(trainer.best_valid_score),
        "state_dict": trainer.model.state_dict(),
        "other_parameter": trainer.model.other_parameter(),
        "optimizer": trainer.optimizer.state_dict(),
        KEY: None if record is None else record.plain,
        STATE: state,
    }


def this_process() -> dict[str, Any]:
    """Identify this process by machine, id and start in seconds since 1970."""
    return {
        "machine": os.uname().nodename,
        "id": os.getpid(),
        "start": psutil.Process().create_time(),
    }


def runs_elsewhere(process: dict[str, Any]) -> bool:
    """Tell if a described process still runs on this machine and is not this one."""
    here = this_process()
    if process["machine"] != here["machine"] or process["id"] == here["id"]:
        return False

    # ids are used again: the same id with another start is another process
    try:
        start = psutil.Process(process["id"]).create_time()
    except psutil.Error:
        return False
    # seconds; the system rounds both
    is_same: bool = abs(start - process["start"]) < 2
    return is_same
