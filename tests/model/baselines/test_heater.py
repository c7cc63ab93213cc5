"""Heater against its formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from recbole_sibrar.model.baselines import Heater

Make = Callable[..., Any]
KEYS = {
    "preference_size": 3,
    "preference_dropout_prob": 0.0,
    "similarity_weight": 0.4,
    "n_experts": 2,
    "loss_type": "MSE",
    "seed": 1,
    "normalize_branch_input": False,
    "activation": "tanh",
}


@pytest.fixture
def model(make: Make) -> Any:
    return make(Heater, **KEYS).eval()


def experts(reference: Any, entity: int) -> np.ndarray:
    """Mixture of the experts on the fields of an item."""
    names = [name for name in reference.encoder.modalities if name != "interactions"]
    blocks = [reference.projected(name, entity) for name in names]
    inputs = np.concatenate([np.zeros(6) if block is None else block for block in blocks])
    p = {name.removeprefix("branches.1."): value for name, value in reference.parameters.items()}

    gates = np.tanh(p["gate.weight"] @ inputs + p["gate.bias"])
    outputs = np.tanh(p["experts.weight"] @ inputs + p["experts.bias"]).reshape(2, 3)
    return np.tanh(gates @ outputs)


def network(reference: Any, inputs: np.ndarray) -> np.ndarray:
    p = reference.parameters
    hidden = np.tanh(p["branches.0.0.weight"] @ inputs + p["branches.0.0.bias"])
    return p["branches.0.2.weight"] @ hidden + p["branches.0.2.bias"]


def test_known_and_new_items(model: Any, reference: Make) -> None:
    items, found = reference(model, "item"), model.encode_items().detach().numpy()
    for item in (1, 4):
        np.testing.assert_allclose(found[item], network(items, items.preferences[item]), atol=1e-5)
    np.testing.assert_allclose(found[7], network(items, experts(items, 7)), atol=1e-5)


def test_similarity(model: Any, reference: Make, batch: Any) -> None:
    items = reference(model, "item")
    loss = model.calculate_loss(batch)[2]
    _, candidates = model._batch(batch)
    known = sorted(set(candidates.flatten().tolist()) & set(range(1, 7)))
    distances = [np.square(experts(items, item) - items.preferences[item]).sum() for item in known]
    assert loss.item() == pytest.approx(0.4 * np.mean(distances), rel=1e-4)


def test_randomised_training(make: Make, reference: Make) -> None:
    """With all preferences hidden, training sees the content alone."""
    model = make(Heater, **{**KEYS, "preference_dropout_prob": 1 - 1e-9})
    items = reference(model, "item")
    found = model.item_encoder.encode_training(torch.tensor([2, 5])).embeddings.detach().numpy()
    for row, item in enumerate((2, 5)):
        np.testing.assert_allclose(found[row], network(items, experts(items, item)), atol=1e-5)
