"""Closed forms on the small world, and its content written in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import norm

from recbole_sibrar.config.choices import properties


class Settings(dict[str, Any]):
    """Answers None for a key that is not set, as RecBole's ``Config`` does."""

    external_config_dict: dict[str, Any]
    """Keys of the user."""

    def __missing__(self, key: str) -> None:
        return None


@pytest.fixture
def build(world: Any) -> Callable[..., Any]:
    """Builds a model with its defaults on the small world: ``build(EASEContent, ridge_weight=2.0)``."""

    def make(model: type[Any], **keys: Any) -> Any:
        file = properties() / "model" / f"{model.__name__}.yaml"
        general = {
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "NEG_PREFIX": "neg_",
            "seed": 1,
        }
        defaults = yaml.safe_load(file.read_text(encoding="utf-8"))
        fixed = {**general, "device": torch.device("cpu"), **defaults, "normalize_vectors": "none"}
        config = Settings({**fixed, **keys})
        config.external_config_dict = keys
        return model(config, world)

    return make


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=1)
    return np.divide(rows, lengths[:, None], out=np.zeros_like(rows), where=lengths[:, None] > 0)


@pytest.fixture
def item_content(world: Any) -> dict[str, np.ndarray]:
    """Rows of each modality of the items; zeros where a value is missing."""
    labels = np.array([[float(label in bag) for label in range(4)] for bag in world.labels])
    trained = world.matrix.any(0) & world.has_price
    prices = world.prices[:, 0].astype(float)
    scores = (prices - prices[trained].mean()) / prices[trained].std()
    bins = norm.pdf(np.arange(-3, 3.1, 0.5), np.clip(scores, -3, 3)[:, None], 0.5)
    return {
        "group": np.eye(3)[world.groups] * (world.groups > 0)[:, None],
        "labels": unit(labels),
        "price": unit(bins * world.has_price[:, None]),
        "text": unit(world.vectors * world.has_vector[:, None]).astype(float),
    }


@pytest.fixture
def user_content(world: Any) -> dict[str, np.ndarray]:
    """The same of the users."""
    return {"age": np.eye(3)[world.ages] * (world.ages > 0)[:, None]}
