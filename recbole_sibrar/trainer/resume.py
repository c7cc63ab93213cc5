"""Checkpoints that a run can be continued from as if it had not been interrupted.

RecBole's checkpoint holds parameters, optimiser, epoch, early-stopping counter and best score. What it lacks to
continue identically is added here: the random states, the position of the training loader and the best validation
result.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from recbole.trainer import KGTrainer, Trainer
from recbole.utils import get_trainer, set_color

from recbole_sibrar.compat import CheckpointError, identify, load_checkpoint
from recbole_sibrar.config import evaluation_config
from recbole_sibrar.evaluator import curve
from recbole_sibrar.trainer import tensorboard

STATE = "training_state"
"""Key of a checkpoint that holds what RecBole's own keys do not."""


def extend_trainer(extend: Callable[[Any, str, Callable[..., Any]], None]) -> None:
    """Extend RecBole's trainer.

    Args:
        extend: Replaces a method by one that is called with the original first.
    """
    extend(Trainer, "fit", _fit)
    extend(Trainer, "_valid_epoch", _valid_epoch)
    extend(Trainer, "_save_checkpoint", _save_checkpoint)
    extend(Trainer, "resume_checkpoint", _resume_checkpoint)


def is_resumable(model_type: Any, model: str) -> bool:
    """Whether the model is trained by RecBole's standard trainers; others have state that no checkpoint holds."""
    return get_trainer(model_type, model) in (Trainer, KGTrainer)


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
    if state["cuda"]:
        torch.cuda.set_rng_state_all([device_state.cpu() for device_state in state["cuda"]])


def _loaders(train_data: Any) -> list[Any]:
    """The loaders that shuffle: the training loader, or the two that RecBole's knowledge-based loader consists of."""
    if hasattr(train_data, "kg_dataloader"):
        return [train_data.general_dataloader, train_data.kg_dataloader]
    return [train_data]


def _fit(original: Any, trainer: Trainer, train_data: Any, *args: Any, **kwargs: Any) -> Any:
    """Train, from the checkpoint that the key ``resume`` names if it is set."""
    trainer.training_loader = train_data
    if trainer.config["resume"]:
        trainer.resume_checkpoint(trainer.config["resume"])
    state = trainer.__dict__.pop("resumed_state", None)
    if state is not None:
        trainer.best_valid_result = state["best_valid_result"]
        trainer.train_loss_dict = state["train_loss_dict"]
        for loader, (generator, epoch) in zip(_loaders(train_data), state["loaders"], strict=True):
            loader.generator.set_state(generator.cpu())
            loader.epoch = epoch
        set_random_state(state["random"])
    try:
        return original(trainer, train_data, *args, **kwargs)
    except KeyboardInterrupt:
        if os.path.isfile(trainer.saved_model_file):
            trainer.logger.warning(f"interrupted; --resume={trainer.saved_model_file} continues this run")
        raise


def _resume_checkpoint(original: Any, trainer: Trainer, resume_file: str) -> None:
    """Load a checkpoint, and keep what :func:`_fit` needs to continue as if nothing had happened."""
    checkpoint = load_checkpoint(resume_file)
    for key in ("model", "learner"):
        if checkpoint["config"][key] != trainer.config[key]:
            found = f"found {checkpoint['config'][key]}, but this run has {trainer.config[key]}"
            raise CheckpointError(f"resume: {resume_file} does not fit the key '{key}': {found}")
    try:
        original(trainer, resume_file)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(f"resume: {resume_file} does not fit the model: {' '.join(str(error).split())}") from None
    trainer.resumed_state = checkpoint.get(STATE)
    if trainer.resumed_state is None:
        trainer.logger.warning(
            f"{resume_file} was written without recbole_sibrar and holds no random state: "
            "the resumed run is not the one that was interrupted"
        )


def _valid_epoch(original: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Remember the validation result: RecBole saves a new best checkpoint before it notes the result as the best."""
    score, result = original(trainer, *args, **kwargs)
    trainer.latest_valid_result = result
    path = evaluation_config(trainer.config).save_learning_curve
    if path:
        curve.record(trainer, path, result)
    tensorboard.record_validation(trainer, result)
    return score, result


def _save_checkpoint(original: Any, trainer: Trainer, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
    """Write RecBole's checkpoint with our state added, to a temporary name that is renamed when it is complete."""
    loader = trainer.__dict__.get("training_loader")
    file = kwargs.get("saved_model_file", trainer.saved_model_file)
    if loader is None:
        original(trainer, epoch, verbose=verbose, **kwargs)
        trainer.written_checkpoint = identify(file)
        return
    if not trainer.config["single_spec"] and trainer.config["local_rank"] != 0:
        return
    result = trainer.__dict__.get("latest_valid_result", trainer.best_valid_result)
    state = {
        "config": trainer.config,
        "epoch": epoch if epoch >= 0 else trainer.start_epoch - 1,  # RecBole's -1: there was nothing left to train
        "cur_step": trainer.cur_step,
        "best_valid_score": float(trainer.best_valid_score),
        "state_dict": trainer.model.state_dict(),
        "other_parameter": trainer.model.other_parameter(),
        "optimizer": trainer.optimizer.state_dict(),
        STATE: {
            "best_valid_result": result and {key: float(value) for key, value in result.items()},
            "train_loss_dict": dict(trainer.train_loss_dict),
            "loaders": [(part.generator.get_state(), getattr(part, "epoch", 0)) for part in _loaders(loader)],
            "random": random_state(),
        },
    }
    partial = f"{file}.part"
    torch.save(state, partial, pickle_protocol=4)
    os.replace(partial, file)
    trainer.written_checkpoint = identify(file)
    if verbose:
        trainer.logger.info(set_color("Saving current", "blue") + f": {file}")
