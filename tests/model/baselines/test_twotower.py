"""TwoTower against its towers in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.baselines import TwoTower

Make = Callable[..., Any]
KEYS = {"id_dropout_prob": 0.0, "normalize_branch_input": False}


def test_towers(make: Make, reference: Make) -> None:
    model = make(TwoTower, **KEYS).eval()
    users, items = reference(model, "user"), reference(model, "item")
    for user, item in [(1, 2), (1, 7), (3, 2), (3, 7)]:
        expected = users.concatenated(user) @ items.concatenated(item)
        found = (model.encode_users()[user] @ model.encode_items()[item]).item()
        assert found == pytest.approx(expected, abs=1e-5)


def test_new_item_has_no_id(make: Make) -> None:
    model = make(TwoTower, **KEYS).eval()
    before = model.encode_items()[7].clone()
    column = model.item_encoder.modalities.index("id")
    with torch.no_grad():
        model.item_encoder.projections[column][0].embedding.weight[7] += 1
    model.train().eval()
    assert torch.equal(model.encode_items()[7], before)


def test_hidden_ids(make: Make, world: Any) -> None:
    """With nearly all ids hidden, training sees the content alone."""
    model = make(TwoTower, **{**KEYS, "id_dropout_prob": 1 - 1e-9})
    items = torch.arange(1, 7)
    found = model.item_encoder.encode_training(items).embeddings
    content = [name for name in model.item_encoder.modalities if name != "id"]
    expected, _ = model.item_encoder.encode(items, model.item_encoder.columns_of(content))
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-6)


def test_no_interactions(make: Make) -> None:
    assert make(TwoTower, **KEYS).item_encoder.modalities == (
        "group",
        "labels",
        "price",
        "text",
        "id",
    )
    with pytest.raises(
        ConfigError, match=r"^item_modalities: found 'interactions', allowed is any of group"
    ):
        make(TwoTower, **KEYS, item_modalities=["interactions"])
