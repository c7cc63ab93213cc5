"""One trial of a search, in a process of its own: ``python -m ...hyper_objective FOLDER PARENT SOCKET train|test``.

Training evaluates on the validation part alone; ``test`` evaluates the checkpoint of a finished trial on the test part.
What it finds goes, a line of JSON at a time, to the socket of the process that has started it and that answers each.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
import threading
import time
from collections.abc import Callable
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
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT, SPECIFICATION, end_with, name_checkpoint
from recbole_sibrar.quick_start.hyper.messages import send
from recbole_sibrar.trainer.state import random_state, set_random_state

_RANDOM = "random.pth"
"""File in the folder of a trial with the random states after its training, from which a sampled test draws."""

Report = Callable[[dict[str, Any]], None]
"""Takes what is known so far."""


def train(folder: Path, report: Report) -> None:
    """Train with the keys of the folder's specification, and save the best model there.

    Args:
        folder: Holds ``run.yaml``, as :mod:`~recbole_sibrar.quick_start.group.single_run` reads it.
        report: Takes ``epoch``, ``best_score``, ``best_epoch``, ``best_result`` and ``threads`` after each validation,
            and with ``done`` at the end.

    Raises:
        ValueError: The model, or RecBole, refuses a value, or there is no validation score.
    """
    start = time.perf_counter()
    config, trainer, (train_data, valid_data, _) = _prepare(folder)
    best: dict[str, Any] = {"threads": torch.get_num_threads(), "bigger": bool(config["valid_metric_bigger"])}

    def after_validation(epoch: int, score: float) -> None:
        if trainer.cur_step == 0:
            best["best_epoch"] = epoch
        report({**best, **_found(trainer), "epoch": epoch, "seconds": time.perf_counter() - start})

    options: dict[str, Any] = {"saved": True, "show_progress": False}
    if "callback_fn" in inspect.signature(trainer.fit).parameters:
        options["callback_fn"] = after_validation
    trainer.best_valid_score, trainer.best_valid_result = trainer.fit(train_data, valid_data, **options)
    found = _found(trainer)
    if not math.isfinite(found["best_score"]):
        raise ValueError(f"the best validation score is {found['best_score']}: no epoch has one that can be compared")
    name_checkpoint(folder, config["model"])
    torch.save(random_state(), folder / _RANDOM)
    report({**best, **found, "seconds": time.perf_counter() - start, "done": True})


def test(folder: Path, report: Report) -> None:
    """Evaluate the model that :func:`train` has saved on the test part.

    Args:
        folder: That of the trial.
        report: Takes ``test_result``.
    """
    config, trainer, (train_data, _, test_data) = _prepare(folder)
    if not (folder / CHECKPOINT).is_file():  # a scheduler has stopped the trial, and the better ones have failed later
        name_checkpoint(folder, config["model"])
    trainer.eval_collector.data_collect(train_data)
    if (folder / _RANDOM).is_file():
        set_random_state(torch.load(folder / _RANDOM))
    result = trainer.evaluate(test_data, load_best_model=True, model_file=str(folder / CHECKPOINT))
    report({"test_result": _plain(result), "done": True})


def _prepare(folder: Path) -> tuple[Config, Any, tuple[Any, Any, Any]]:
    """RecBole's steps up to the trainer; with the same ones as ``run_recbole``, which leave the same random states."""
    specification = yaml.safe_load((folder / SPECIFICATION).read_text(encoding="utf-8"))
    os.chdir(folder)
    keys = {**specification["keys"], "checkpoint_dir": str((folder / CHECKPOINT).parent)}
    config = Config(specification["model"], specification["dataset"], specification["config_files"] or None, keys)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    getLogger().info(config)
    dataset = create_dataset(config)
    getLogger().info(dataset)
    loaders = data_preparation(config, dataset)
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    getLogger().info(model)
    get_flops(model, dataset, config["device"], getLogger(), construct_transform(config))
    return config, get_trainer(config["MODEL_TYPE"], config["model"])(config, model), loaders


def _found(trainer: Any) -> dict[str, Any]:
    return {"best_score": float(trainer.best_valid_score), "best_result": _plain(trainer.best_valid_result)}


def _plain(result: dict[str, Any] | None) -> dict[str, float]:
    return {key: float(value) for key, value in (result or {}).items()}


if __name__ == "__main__":
    folder, parent, number, task = sys.argv[1:5]
    sys.argv = sys.argv[:1]  # RecBole would read the arguments of this process as keys
    threading.Thread(target=end_with, args=(int(parent),), daemon=True).start()
    with socket(fileno=int(number)) as connection, connection.makefile("rw", encoding="utf-8") as stream:
        {"train": train, "test": test}[task](Path(folder).absolute(), lambda message: send(stream, message))
