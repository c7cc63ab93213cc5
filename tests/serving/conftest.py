"""Trained models as portable ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model
from recbole.utils import get_model, get_trainer, init_seed

import recbole_sibrar
from recbole_sibrar.quick_start.export.checkpoint import ExportOptions, export
from recbole_sibrar.serving import Recommender


@dataclass(frozen=True)
class Exported:
    """A checkpoint, and the portable model made of it."""

    checkpoint: str
    folder: Path
    data_path: Path

    def load(self) -> Recommender:
        """The portable model."""
        return Recommender.load(self.folder)

    def original(self) -> tuple[Any, Any, NDArray[Any]]:
        """The model of the checkpoint, its training data, and its scores ``[n_users, n_items]`` without padding."""
        _, model, _, train, *_ = load_data_and_model(self.checkpoint)
        dataset = train._dataset
        model.eval()
        users = torch.arange(1, dataset.user_num)
        with torch.no_grad():
            scores = model.full_sort_predict(Interaction({"user_id": users}))
        return model, dataset, scores.view(len(users), -1)[:, 1:].numpy()

    def matrix(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Scores of a table of recommendations, ``[n_users, n_items]``; NaN for pairs that are not there."""
        _, dataset, scores = self.original()
        users = pd.Index(dataset.field2id_token["user_id"][1:]).get_indexer(frame["user"])
        items = pd.Index(dataset.field2id_token["item_id"][1:]).get_indexer(frame["item"])
        matrix = np.full(scores.shape, np.nan, dtype=np.float32)
        matrix[users, items] = frame["score"]
        return matrix

    def embeddings(self, side: str) -> pd.DataFrame:
        """Embeddings of the checkpoint's model, with tokens as index."""
        model, dataset, _ = self.original()
        encode = model.encode_items if side == "item" else model.encode_users
        return pd.DataFrame(
            encode()[1:].detach().numpy(), index=dataset.field2id_token[f"{side}_id"][1:]
        )

    def file(self, side: str) -> pd.DataFrame:
        """The atomic file of a side, as texts, without the types of its header."""
        frame = pd.read_csv(self.data_path / "tiny" / f"tiny.{side}", sep="\t", dtype=str)
        return frame.rename(columns=lambda header: header.partition(":")[0])


@pytest.fixture(scope="module")
def make_portable(
    shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Exported]:
    """Train and export: ``make_portable("SiBraR", aggregation="max")``. The results are kept for the module."""
    made: dict[str, Exported] = {}
    home = tmp_path_factory.mktemp("portable")
    numbers = count()

    def build(
        model: str = "SiBraR", display: tuple[str, ...] = (), modalities: bool = True, **keys: Any
    ) -> Exported:
        name = f"{model} {display} {modalities} {sorted(keys.items())}"
        if name not in made:
            number = next(numbers)
            checkpoint = _train(model, shared_folder, home / str(number), keys)
            folder = home / f"{number}.sibrar"
            export(checkpoint, folder, ExportOptions(display, modalities=modalities))
            made[name] = Exported(checkpoint, folder, shared_folder)
        return made[name]

    return build


def _train(model: str, data_path: Path, folder: Path, keys: dict[str, Any]) -> str:
    """Train a model, and return its checkpoint."""
    settings: dict[str, Any] = {
        "data_path": str(data_path),
        "checkpoint_dir": str(folder),
        "tensorboard": "none",
        "load_col": None,
        "show_progress": False,
        "state": "ERROR",
        "epochs": 2,
        "train_batch_size": 512,
    }
    if model in recbole_sibrar.MODELS:
        settings["user_modalities"] = "auto"
    else:
        settings["load_col"] = {"inter": ["user_id", "item_id"]}
    if model == "DropoutNet":
        settings["preference_size"] = 8  # less than there are users

    arguments, sys.argv = sys.argv, ["test"]
    start = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        config = Config(model, "tiny", config_dict={**settings, **keys})
        init_seed(config["seed"], config["reproducibility"])
        train, valid, _ = data_preparation(config, create_dataset(config))
        trainer = get_trainer(config["MODEL_TYPE"], model)(
            config, get_model(model)(config, train._dataset)
        )
        trainer.fit(train, valid)
    finally:
        sys.argv = arguments
        os.chdir(start)
    return str(trainer.saved_model_file)


@pytest.fixture
def portable(make_portable: Callable[..., Exported]) -> Path:
    """Folder of a portable SiBraR."""
    return make_portable(display=("kind", "tags", "price")).folder


@pytest.fixture
def model(portable: Path) -> Recommender:
    """A portable SiBraR."""
    return Recommender.load(portable)
