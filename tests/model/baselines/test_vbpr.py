"""VBPR against its formula in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.baselines import VBPR

Make = Callable[..., Any]


@pytest.fixture
def model(make: Make) -> Any:
    return make(VBPR, embedding_size=6).eval()


def content(world: Any, weights: dict[str, np.ndarray], item: int) -> np.ndarray:
    """Sum of the maps of the available fields: three factors and a bias."""
    total = np.zeros(4)
    if world.groups[item]:
        total += weights["projections.0.0.embedding.weight"][world.groups[item]]
    if world.labels[item]:
        total += weights["projections.1.0.embedding.weight"][world.labels[item]].mean(0)
    for column, values, has in (
        (2, world.prices, world.has_price),
        (3, world.vectors, world.has_vector),
    ):
        if has[item]:
            matrix, bias = (
                weights[f"projections.{column}.0.linear.{name}"] for name in ("weight", "bias")
            )
            total += matrix @ values[item] + bias
    return total


def test_formula(model: Any, world: Any) -> None:
    weights = {
        name: value.detach().numpy() for name, value in model.item_encoder.named_parameters()
    }
    users = model.user_encoder.projections[0].embedding.weight.detach().numpy()
    found = (model.encode_users() @ model.encode_items().T).detach().numpy()

    for user in range(1, 6):
        for item in range(1, 8):
            free = weights["projections.4.0.embedding.weight"][item]
            free = free if item < 7 else np.zeros(4)  # item 7 is new
            factors = content(world, weights, item)
            expected = (
                free[3] + factors[3] + users[user, :3] @ free[:3] + users[user, 3:] @ factors[:3]
            )
            assert found[user, item] == pytest.approx(expected, abs=1e-5)


def test_training_encodes_alike(model: Any) -> None:
    items = torch.tensor([1, 6, 1, 3])
    trained = model.item_encoder.encode_training(items).embeddings
    torch.testing.assert_close(trained, model.encode_items()[items])


def test_wrong_keys(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"^embedding_size: found 5, allowed is an even number"):
        make(VBPR, embedding_size=5)
    with pytest.raises(
        ConfigError, match=r"^dropout_prob: found 0.3, allowed is no value but 0.0 for VBPR"
    ):
        make(VBPR, embedding_size=6, dropout_prob=0.3)
