"""Steps that treat known items as new ones (``new_item_share``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from scipy.special import log_softmax

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.training import as_new_items

Make = Callable[..., Any]

PLAIN = {"modality_sampling": False, "contrastive": "none", "user_modalities": ["interactions"]}
NEW_ITEMS = {"loss_type": "SSM", "negatives": "all", "targets": "history", "new_item_share": 0.6}


def test_users_do_not_have_new_items(make: Make, world: Any) -> None:
    model = make(**PLAIN)
    before = model.item_encoder.availability.clone()
    with as_new_items(model.user_encoder, model.item_encoder, torch.tensor([1])):
        users = model.user_encoder.encode_training(torch.tensor([1, 3])).embeddings
        assert not model.item_encoder.availability[1, 0]
        assert model.item_encoder.availability[2, 0]
    assert torch.equal(model.item_encoder.availability, before)

    world.matrix[:, 1] = 0
    other = make(**PLAIN)
    other.load_state_dict(model.state_dict())
    expected = other.eval().encode_users(torch.tensor([1, 3])).detach().numpy()
    assert users.detach().numpy() == pytest.approx(expected, rel=1e-5)


def test_new_items_are_ranked_alone(make: Make, world: Any, batch: Interaction) -> None:
    model = make(**NEW_ITEMS, **PLAIN)
    torch.manual_seed(3)
    drawn = np.flatnonzero(torch.rand(9).numpy() < 0.6)
    new = [item for item in drawn if world.matrix[:, item].any()]
    assert 0 < len(new) < 6
    torch.manual_seed(3)
    loss = model.calculate_loss(batch)

    items = model.encode_items(
        modalities=[name for name in model.item_encoder.modalities if name != "interactions"]
    )
    with as_new_items(model.user_encoder, model.item_encoder, torch.tensor(new)):
        users = model.user_encoder.encode_training(torch.tensor([1, 2, 5])).embeddings
    scores = log_softmax((users @ items[new].t()).detach().double().numpy(), axis=1)
    terms = [scores[row][world.matrix[user, new] > 0] for row, user in enumerate((1, 2, 5))]
    expected = -np.mean([term.mean() if len(term) else 0 for term in terms])
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_new_items_of_a_step_are_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = make(**NEW_ITEMS, **PLAIN).shared_candidates
    monkeypatch.setattr("recbole_sibrar.model.training.candidates.LARGEST", 8)
    positives = torch.ones(4, 2, dtype=torch.long)  # four rows: two candidates at most
    drawn = [candidates.choose(positives)[0] for _ in range(20)]
    assert max(len(items) for items in drawn) == 2
    assert len(torch.cat(drawn).unique()) > 3
    assert all(bool((items.diff() > 0).all()) for items in drawn)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"new_item_share": 0.5}, "new_item_share: found 0.5, allowed is 0, or targets: history"),
        (
            {**NEW_ITEMS, "user_modalities": ["id"]},
            "new_item_share: found 0.6, allowed is 0 for the user_modalities",
        ),
        (
            {**NEW_ITEMS, "item_modalities": ["interactions"]},
            "allowed is 0 for the item_modalities interactions",
        ),
    ],
)
def test_new_items_need_content(make: Make, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keys)
