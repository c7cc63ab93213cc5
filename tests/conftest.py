"""Fixtures of all tests: small data sets with fields of every type, and RecBole's own steps on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# before torch is imported: small models only lose by more threads
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_logger, init_seed

import recbole_sibrar
from recbole_sibrar.data.dataset import MultimodalDataset

# it is imported like any module; its assertions explain themselves too
pytest.register_assert_rewrite("contract")

N_USERS, N_ITEMS = 30, 40


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the programs beside the tests alone.

    ``--doctest-modules`` would import them all, and some of them change RecBole as they start.
    """
    name = collection_path.name
    is_program = name.endswith(".py") and not name.startswith("test_") and name != "conftest.py"
    return True if is_program else None


def _write(path: Path, header: str, rows: list[list[str]]) -> None:
    path.write_text(
        "\n".join(["\t".join(header.split()), *("\t".join(row) for row in rows)]) + "\n",
        encoding="utf-8",
    )


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A ``data_path`` with the data set ``tiny``, as :func:`_write_tiny` describes it."""
    return _write_tiny(tmp_path)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for a whole module. Its tests must not change it."""
    return _write_tiny(tmp_path_factory.mktemp("shared"))


def _write_tiny(parent: Path) -> Path:
    """Write a ``data_path`` with the data set ``tiny``; the last item and the last user have no line in their file.

    Values are missing in every field: of user and item n, ``gender``/``kind`` where n % 7 == 0, ``tags``/``likes``
    where n % 5 == 0, ``age``/``price`` where n % 6 == 0, ``profile``/``text`` where n % 4 == 0.
    """
    rng = np.random.default_rng(7)
    folder = parent / "dataset" / "tiny"
    folder.mkdir(parents=True)
    pairs = [
        (u, i) for u in range(1, N_USERS + 1) for i in range(1, N_ITEMS + 1) if rng.random() < 0.3
    ]
    rows = [[f"u{u}", f"i{i}", str(rng.integers(1, 6)), str(rng.integers(10**6))] for u, i in pairs]
    _write(folder / "tiny.inter", "user_id:token item_id:token rating:float timestamp:float", rows)

    def fields(n: int, prefix: str, size: int) -> list[str]:
        vector = " ".join(f"{number:.3f}" for number in rng.normal(size=size))
        return [
            f"{prefix}{n}",
            "" if n % 7 == 0 else f"c{n % 3}",
            "" if n % 5 == 0 else f"t{n % 4} t{n % 6}",
            "" if n % 6 == 0 else f"{n / 2}",
            "" if n % 4 == 0 else vector,
        ]

    users = [fields(n, "u", 3) for n in range(1, N_USERS)]
    _write(
        folder / "tiny.user",
        "user_id:token gender:token likes:token_seq age:float profile:float_seq",
        users,
    )
    items = [fields(n, "i", 5) for n in range(1, N_ITEMS)]
    _write(
        folder / "tiny.item",
        "item_id:token kind:token tags:token_seq price:float text:float_seq",
        items,
    )
    return folder.parent


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``data_path`` with the data set ``toy``: 60 users, 80 items, ratings and times, a fifth of the values missing.

    Users and items have a field of each type used by RecBole's models. Tests must not change it.
    """
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("toy") / "toy"
    folder.mkdir()
    rows = [
        [f"u{u}", f"i{i}", str(rng.integers(1, 6)), str(1_600_000_000 + rng.integers(10**7))]
        for u in range(1, 61)
        for i in rng.choice(80, rng.integers(8, 20), replace=False) + 1
    ]
    _write(folder / "toy.inter", "user_id:token item_id:token rating:float timestamp:float", rows)

    def or_nothing(value: str) -> str:
        return "" if rng.random() < 0.2 else value

    items = [
        [
            f"i{i}",
            or_nothing("abc"[i % 3]),
            " ".join(rng.choice(list("xyzw"), rng.integers(3), replace=False)),
            or_nothing(f"{10 * rng.random():.2f}"),
            or_nothing(" ".join(f"{number:.3f}" for number in rng.normal(size=8))),
        ]
        for i in range(1, 81)
    ]
    _write(
        folder / "toy.item",
        "item_id:token category:token tags:token_seq price:float text:float_seq",
        items,
    )
    users = [[f"u{u}", str(rng.integers(15, 70)), or_nothing("MF"[u % 2])] for u in range(1, 61)]
    _write(folder / "toy.user", "user_id:token age:float gender:token", users)
    return folder.parent


@pytest.fixture
def make_config(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Config]:
    """RecBole's ``Config`` for the small data set: ``make_config(epochs=3)``. The working folder is temporary."""
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)

    def build(model: str = "SiBraR", **overrides: Any) -> Config:
        settings: dict[str, Any] = {
            "data_path": str(tiny_folder),
            "load_col": None,
            "show_progress": False,
            "state": "ERROR",
            "epochs": 2,
            "train_batch_size": 512,
        }
        if model in ("DropoutNet", "Heater", "ALDI"):
            settings["preference_size"] = 8  # less than there are users
        if model not in recbole_sibrar.OWN_MODELS:
            settings["load_col"] = {"inter": ["user_id", "item_id"]}
        return Config(model, "tiny", config_dict={**settings, **overrides})

    return build


@pytest.fixture
def make_dataset(make_config: Callable[..., Config]) -> Callable[..., MultimodalDataset]:
    """The data set before it is split: ``make_dataset(normalize_all=False)``."""

    def build(**overrides: Any) -> MultimodalDataset:
        config = make_config(**overrides)
        init_seed(config["seed"], config["reproducibility"])
        return create_dataset(config)

    return build


@pytest.fixture
def make_model(make_config: Callable[..., Config]) -> Callable[..., tuple[Any, ...]]:
    """RecBole's steps up to the model: ``config, model, train, valid, test = make_model(dropout_prob=0.5)``."""

    def build(**overrides: Any) -> tuple[Any, ...]:
        config = make_config(**overrides)
        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        loaders = data_preparation(config, create_dataset(config))
        init_seed(config["seed"], config["reproducibility"])
        return (config, get_model(config["model"])(config, loaders[0]._dataset), *loaders)

    return build
