"""Process of a trial.

``python -m recbole_sibrar.quick_start.hyper.objective FOLDER PARENT SOCKET train|test``

``train`` evaluates on the validation part only; ``test`` evaluates the checkpoint of an ended trial
on the test part. Results go to the search through the socket, by the protocol of
:mod:`~recbole_sibrar.quick_start.hyper.messages`.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from logging import getLogger
from pathlib import Path
from socket import socket
from typing import Any

import torch
import yaml
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.transform import construct_transform
from recbole.utils import get_flops, get_model, get_trainer, init_logger, init_seed

import recbole_sibrar  # noqa: F401  # registers the plugin in this process
from recbole_sibrar.model.training import weights_follow
from recbole_sibrar.protocols import TrainerLike
from recbole_sibrar.quick_start.group.single_run import (
    CHECKPOINT,
    SPECIFICATION,
    end_with,
    name_checkpoint,
)
from recbole_sibrar.quick_start.hyper.messages import send
from recbole_sibrar.trainer.state import random_state, set_random_state

__all__ = ["test", "train"]

_RANDOM = "random.pth"
"""Random states after the training, in the folder of a trial.

A test with sampled negatives starts from them.
"""

Report = Callable[[dict[str, Any]], None]
"""Takes the results so far."""


def train(folder: Path, report: Report) -> None:
    """Train with the specification in a folder and save the best model there.

    Args:
        folder: Has ``run.yaml``, as for :mod:`~recbole_sibrar.quick_start.group.single_run`.
        report: Takes ``epoch``, ``best_score``, ``best_epoch``, ``best_result`` and ``threads``
            after each validation, and with ``done`` at the end.

    Raises:
        ValueError: The model, or RecBole, refuses a value, or there is no validation score.
    """
    start = time.perf_counter()
    config, trainer, (train_data, valid_data, _) = _prepare(folder)
    best: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "bigger": bool(config["valid_metric_bigger"]),
    }

    def after_validation(epoch: int, score: float) -> None:
        # RecBole counts the validations since the best one.
        if trainer.cur_step == 0:
            best["best_epoch"] = epoch
        seconds = time.perf_counter() - start
        report({**best, **_best_of(trainer), "epoch": epoch, "seconds": seconds})

    options: dict[str, Any] = {"saved": True, "show_progress": False}
    # Trainers of decision trees have none.
    if "callback_fn" in inspect.signature(trainer.fit).parameters:
        options["callback_fn"] = after_validation
    trainer.best_valid_score, trainer.best_valid_result = trainer.fit(
        train_data, valid_data, **options
    )

    found = _best_of(trainer)
    score = found["best_score"]
    if not math.isfinite(score):
        reason = "no epoch has one that can be compared"
        raise ValueError(f"the best validation score is {score}: {reason}")

    name_checkpoint(folder, config["model"])
    torch.save(random_state(), folder / _RANDOM)
    report({**best, **found, "seconds": time.perf_counter() - start, "done": True})


def test(folder: Path, report: Report) -> None:
    """Evaluate the model saved by :func:`train` on the test part.

    Args:
        folder: Folder of the trial.
        report: Takes ``test_result``.
    """
    with weights_follow():
        config, trainer, (train_data, _, test_data) = _prepare(folder)
    # A trial stopped by the scheduler has not renamed its checkpoint.
    # It is the best if better ones failed later.
    if not (folder / CHECKPOINT).is_file():
        name_checkpoint(folder, config["model"])

    trainer.eval_collector.data_collect(train_data)
    if (folder / _RANDOM).is_file():
        set_random_state(torch.load(folder / _RANDOM))

    result = trainer.evaluate(test_data, load_best_model=True, model_file=str(folder / CHECKPOINT))
    report({"test_result": _to_floats(result), "done": True})


def _prepare(folder: Path) -> tuple[Config, Any, tuple[Any, Any, Any]]:
    """Make configuration, trainer and loaders of a trial."""
    specification = yaml.safe_load((folder / SPECIFICATION).read_text(encoding="utf-8"))
    os.chdir(folder)
    keys = {**specification["keys"], "checkpoint_dir": str((folder / CHECKPOINT).parent)}
    config = Config(
        specification["model"],
        specification["dataset"],
        specification["config_files"] or None,
        keys,
    )

    # The steps of RecBole's run_recbole up to the trainer, in its order, so that the random states
    # and the scores are those of the same run alone. run_recbole itself always evaluates the test
    # part, which only the best trial of a search may see, and gives the trainer no callback.
    # RecBole's objective_function tests every trial as well, and leaves out get_flops, whose
    # forward pass may draw random numbers.
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    logger = getLogger()
    logger.info(config)

    dataset = create_dataset(config)
    logger.info(dataset)
    loaders = data_preparation(config, dataset)

    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    logger.info(model)
    get_flops(model, dataset, config["device"], logger, construct_transform(config))

    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return config, trainer, loaders


def _best_of(trainer: TrainerLike) -> dict[str, Any]:
    return {
        "best_score": float(trainer.best_valid_score),
        "best_result": _to_floats(trainer.best_valid_result or {}),
    }


def _to_floats(result: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in result.items()}


if __name__ == "__main__":
    folder, parent, number, task = sys.argv[1:5]
    # RecBole would read the arguments of this process as keys.
    sys.argv = sys.argv[:1]
    threading.Thread(target=end_with, args=(int(parent),), daemon=True).start()

    with (
        socket(fileno=int(number)) as connection,
        connection.makefile("rw", encoding="utf-8") as stream,
    ):
        {"train": train, "test": test}[task](
            Path(folder).absolute(), lambda message: send(stream, message)
        )
