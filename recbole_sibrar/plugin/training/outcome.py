"""End of a run: the checkpoint in its result, and a closing block in its log."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.trainer import Trainer
from recbole.trainer.trainer import AbstractTrainer
from recbole.utils import dict2str

from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import without_view
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin.state import training_state
from recbole_sibrar.trainer.tensorboard import loss_names

_TRAINERS: ContextVar[list[Any] | None] = ContextVar("trainers", default=None)
"""The trainers that the run in progress has made; None outside of RecBole's ``run_recbole``."""


def run_recbole(
    original: Callable[..., dict[str, Any]],
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    saved: bool = True,
    queue: Any = None,
) -> dict[str, Any]:
    """Run as RecBole does; the result also has the ``checkpoint``, and the log the next steps."""
    with _noting_trainers() as trainers:
        result: dict[str, Any] = original(model, dataset, config_file_list, config_dict, saved)

    trainer = trainers[-1]
    file = str(getattr(trainer, "saved_model_file", ""))
    result["checkpoint"] = file if saved and Path(file).is_file() else None

    # RecBole has ended the group of several processes, whose ranks are no longer known
    config = trainer.config
    main = processes.is_main(config) if config["single_spec"] else config["local_rank"] == 0
    if main:
        getLogger().info("\n" + closing_block(trainer, result))
    if main and queue is not None:
        queue.put(result)
    return result


@contextmanager
def _noting_trainers() -> Iterator[list[Any]]:
    """Collect the trainers that are made within a ``with`` block."""
    trainers: list[Any] = []
    token = _TRAINERS.set(trainers)
    try:
        yield trainers
    finally:
        _TRAINERS.reset(token)


def note_trainer(
    original: Callable[..., None],
    trainer: AbstractTrainer,
    *args: object,
    **kwargs: object,
) -> None:
    """Make a trainer, and note it as one of the run in progress."""
    original(trainer, *args, **kwargs)
    trainers = _TRAINERS.get()
    if trainers is not None:
        trainers.append(trainer)


def name_losses(
    original: Callable[..., str],
    trainer: Trainer,
    epoch: int,
    start: float,
    end: float,
    losses: Any,
) -> str:
    """Call the parts of our models' losses by name, which RecBole numbers."""
    output: str = original(trainer, epoch, start, end, losses)
    names = []
    if isinstance(trainer.model, MultimodalRecommender):
        names = loss_names(trainer.model)
    if isinstance(losses, tuple) and len(losses) == len(names):
        # from the last: train_loss1 is the begin of train_loss10
        for number, name in reversed(list(enumerate(names, 1))):
            output = output.replace(f"train_loss{number}", f"{name} loss")
    return output


def closing_block(trainer: Trainer, result: dict[str, Any]) -> str:
    """Sum up a run: model, data, best epoch, results, checkpoint, next commands.

    Args:
        trainer: RecBole's trainer, after training and test.
        result: What RecBole's ``run_recbole`` returns, with ``checkpoint``.
    """
    config = trainer.config
    lines = {
        "model": str(config["model"]),
        "data": _data(trainer),
        "training": _training(trainer),
    }
    for part, key in (("validation", "best_valid_result"), ("test", "test_result")):
        for view, values in _by_view(result[key] or {}).items():
            name = f"{part[:5].strip()} {view}" if view else part
            lines[name] = " ".join(dict2str(values).split())

    checkpoint = result["checkpoint"]
    if checkpoint:
        lines["checkpoint"] = checkpoint
    rows = [f"  {name:<11} {text}" for name, text in lines.items() if text]
    for number, command in enumerate(_next(trainer, checkpoint)):
        # the name of the line stands once
        name = "" if number else "next"
        rows.append(f"  {name:<11} {command}")
    return "\n".join(["the run has ended", *rows])


def _by_view(result: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Divide the metrics of an evaluation by view; the name for all interactions is empty."""
    views: dict[str, dict[str, float]] = {}
    for metric, value in result.items():
        plain, view = without_view(metric)
        views.setdefault(view, {})[plain] = value
    return views


def _data(trainer: Trainer) -> str:
    """Describe the size of the data set, and its parts."""
    config = trainer.config
    loader = training_state(trainer).loader
    dataset = getattr(loader, "_dataset", None)
    size = ""
    if dataset is not None:
        # RecBole counts the padding
        size = f": {dataset.user_num - 1:,} users, {dataset.item_num - 1:,} items"

    way = "files"
    if not config["benchmark_filename"]:
        split = config["eval_args"]["split"]
        way = " ".join(f"{key} {shares}" for key, shares in split.items())
    return f"{config['dataset']}{size}, parts by {way}, seed {config['seed']}"


def _training(trainer: Trainer) -> str:
    """Describe the number of epochs, and the epoch of the checkpoint."""
    losses = getattr(trainer, "train_loss_dict", {})
    if not losses:
        return ""
    last, step = max(losses), trainer.eval_step
    if step <= 0 or trainer.best_valid_result is None:
        return f"{len(losses)} epochs, not validated"

    # cur_step counts the validations since the best one
    last_validated = (last + 1) // step * step - 1
    best = last_validated - trainer.cur_step * step
    return f"epochs 0 to {last}, the best by {trainer.config['valid_metric']} is {best}"


def _next(trainer: Trainer, checkpoint: str | None) -> list[str]:
    """Commands and code for the next steps with a checkpoint."""
    if checkpoint is None:
        return []
    loading = (
        "in Python: import recbole_sibrar, recbole.quick_start; "
        f"recbole.quick_start.load_data_and_model({checkpoint!r})"
    )
    if not isinstance(getattr(trainer, "model", None), MultimodalRecommender):
        return [loading]
    file = shlex.quote(checkpoint)
    return [
        f"recbole-sibrar missing {file}",
        f"recbole-sibrar gap {file}",
        f"recbole-sibrar export --output=NAME.sibrar {file}",
        loading,
    ]
