"""What a checkpoint holds beside RecBole's own, so that a run goes on as if it had not been interrupted."""

from __future__ import annotations

import os
import random
from typing import Any, cast

import numpy as np
import psutil
import torch
from recbole.trainer import Trainer

from recbole_sibrar.data.record.recording import record_of
from recbole_sibrar.data.record.training_data import KEY
from recbole_sibrar.data.saved_loaders import parts_of
from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer.plain_values import held_config
from recbole_sibrar.trainer.training_state import training_state

STATE = "training_state"
"""Key of a checkpoint that holds what RecBole's own keys do not."""


def random_state() -> dict[str, Any]:
    """The states of all global random generators, as plain numbers and tensors."""
    name, keys, *rest = cast("tuple[Any, ...]", np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Set all global random generators to what :func:`random_state` returned."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):  # now there can be fewer GPUs
        torch.cuda.set_rng_state(device_state.cpu(), index)


def loader_states(train_data: Any) -> list[Any]:
    """Where the training loader, or each of the two of a knowledge-based model, is: generator, and epoch if counted."""
    return [(part.generator.get_state(), getattr(part, "epoch", 0)) for part in parts_of(train_data)]


def set_loader_states(train_data: Any, states: list[Any]) -> None:
    """Set a training loader to what :func:`loader_states` returned."""
    for loader, (generator, epoch) in zip(parts_of(train_data), states, strict=True):
        loader.generator.set_state(generator.cpu())
        loader.epoch = epoch


def full_state(trainer: Trainer, epoch: int, result: Any, loaders: list[Any], own: dict[str, Any]) -> dict[str, Any]:
    """RecBole's checkpoint with ours added; every process that trains the model has to call it.

    Args:
        trainer: RecBole's trainer.
        epoch: Number of the last epoch that is complete.
        result: The best validation result; None where there was no validation.
        loaders: What :func:`loader_states` returned.
        own: What each process has for itself.
    """
    record = record_of(training_state(trainer).loader)
    return {
        "config": held_config(trainer.config),
        "epoch": epoch,
        "cur_step": trainer.cur_step,
        "best_valid_score": float(trainer.best_valid_score),
        "state_dict": trainer.model.state_dict(),
        "other_parameter": trainer.model.other_parameter(),
        "optimizer": trainer.optimizer.state_dict(),
        KEY: None if record is None else record.plain,
        STATE: {
            "best_valid_result": result and {key: float(value) for key, value in result.items()},
            "train_loss_dict": dict(trainer.train_loss_dict),
            "loaders": loaders,
            "ranks": processes.gather(trainer.config, own),
            "process": this_process(),
        },
    }


def this_process() -> dict[str, Any]:
    """What tells this process from all others: machine, id and start in seconds since 1970."""
    return {"machine": os.uname().nodename, "id": os.getpid(), "start": psutil.Process().create_time()}


def runs_elsewhere(process: dict[str, Any]) -> bool:
    """Whether another process on this machine is, as far as can be seen, the one described and still runs."""
    here = this_process()
    if process["machine"] != here["machine"] or process["id"] == here["id"]:
        return False
    try:
        start = psutil.Process(process["id"]).create_time()
    except psutil.Error:
        return False
    return abs(start - process["start"]) < 2  # the system rounds both
