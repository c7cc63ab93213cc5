from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_sibrar.model.hiding import mean_of_rows
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., SiBraR]
TRAINED_ITEMS = range(1, 7)  # items 7 and 8 are cold


def hide(model: SiBraR, *names: str) -> torch.Tensor:
    """Every item's cells of some modalities."""
    hidden = torch.zeros_like(model.item_encoder.availability)
    hidden[:, [model.item_encoder.modalities.index(name) for name in names]] = True
    return hidden


@pytest.mark.parametrize("aggregation", ["mean", "max", "sum"])
def test_hidden_modality_counts_as_missing(
    make: Make, reference: Callable[..., Any], aggregation: str
) -> None:
    model = make(aggregation=aggregation).eval()
    numpy = reference(model, "item")
    mean = np.mean([numpy.entity(item) for item in TRAINED_ITEMS], axis=0)
    with model.hiding("item", hide(model, "interactions", "text", "group")):
        found = model.encode_items().numpy()
    for item in range(1, 9):
        left = numpy.entity(item, ("labels", "price"))
        np.testing.assert_allclose(
            found[item], mean if left is None else left, rtol=1e-4, atol=1e-6
        )
    assert numpy.entity(4, ("labels", "price")) is None


def test_all_hidden_items_score_alike(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    numpy = reference(model, "item")
    mean = np.mean([numpy.entity(item) for item in TRAINED_ITEMS], axis=0)
    assert np.abs(mean).max() > 0.01
    with model.hiding("item", torch.ones_like(model.item_encoder.availability)):
        np.testing.assert_allclose(
            model.encode_items()[1:].numpy(), np.tile(mean, (8, 1)), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            model.encode_items(modalities=["text"])[3].numpy(), mean, rtol=1e-4, atol=1e-6
        )
        scores = model.full_sort_predict(Interaction({"user_id": torch.tensor([1])}))[1:].numpy()
    np.testing.assert_allclose(scores, reference(model, "user").entity(1) @ mean, rtol=1e-4)


def test_hidden_cell_changes_its_entity_only(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    before = model.encode_items().numpy()
    hidden = torch.zeros_like(model.item_encoder.availability)
    hidden[2, model.item_encoder.modalities.index("labels")] = True
    with model.hiding("item", hidden):
        after = model.encode_items().numpy()
    np.testing.assert_array_equal(np.flatnonzero(np.abs(before - after).max(1) > 1e-6), [2])
    expected = reference(model, "item").entity(2, ("interactions", "group", "price", "text"))
    np.testing.assert_allclose(after[2], expected, rtol=1e-4, atol=1e-6)


def test_emptied_user_scores_as_mean_user(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    users, items = reference(model, "user"), reference(model, "item")
    mean = np.mean([users.entity(user) for user in range(1, 6)], axis=0)
    hidden = torch.zeros_like(model.user_encoder.availability)
    hidden[3] = True
    pair = Interaction({"user_id": torch.tensor([3]), "item_id": torch.tensor([5])})
    with model.hiding("user", hidden):
        score = model.predict(pair).item()
    assert score == pytest.approx(mean @ items.entity(5), rel=1e-4)
    assert model.predict(pair).item() == pytest.approx(users.entity(3) @ items.entity(5), rel=1e-4)


def test_nested_hiding_keeps_unhidden_mean(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    numpy = reference(model, "item")
    with (
        model.hiding("item", hide(model, "interactions", "text")),
        model.hiding("item", hide(model, "group", "price")),
    ):
        found = model.encode_items().numpy()
    np.testing.assert_allclose(found[1], numpy.entity(1, ("labels",)), rtol=1e-4, atol=1e-6)
    mean = np.mean([numpy.entity(item) for item in TRAINED_ITEMS], axis=0)
    np.testing.assert_allclose(found[4], mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_everything_is_as_before(make: Make, fails: bool) -> None:
    model = make().eval()
    before, available = model.encode_items().clone(), model.item_encoder.availability.clone()
    mean = model.encode_items(torch.tensor([8])).clone()
    try:
        with model.hiding("item", torch.ones_like(available)):
            assert not torch.equal(model.encode_items(), before)
            if fails:
                raise KeyError("within the block")
    except KeyError:
        assert fails
    assert torch.equal(model.item_encoder.availability, available)
    assert torch.equal(model.encode_items(), before)
    assert torch.equal(model.encode_items(torch.tensor([8])), mean)


@pytest.mark.parametrize(
    ("hidden", "found"),
    [
        (torch.zeros(9, 2, dtype=torch.bool), r"torch\.bool \[9, 2\]"),
        (torch.zeros(9, 6), r"torch\.float32 \[9, 6\]"),
    ],
)
def test_wrong_hidden_cells_are_refused(make: Make, hidden: torch.Tensor, found: str) -> None:
    model = make().eval()
    available = model.item_encoder.availability.clone()
    with pytest.raises(
        ValueError, match=rf"item cells: found {found}, allowed is torch\.bool \[9, "
    ):
        model.hiding("item", hidden).__enter__()
    assert torch.equal(model.item_encoder.availability, available)


def test_hiding_is_refused_in_training(make: Make) -> None:
    model = make().train()
    with (
        pytest.raises(ValueError, match=r"model\.eval\(\)"),
        model.hiding("item", torch.ones_like(model.item_encoder.availability)),
    ):
        pass


@pytest.mark.parametrize("n_columns", [3, 64, 100, 200])
def test_mean_of_rows_by_columns(n_columns: int) -> None:
    rows = torch.randn(300, n_columns)
    chosen = torch.rand(300) < 0.7
    assert torch.equal(mean_of_rows(rows, chosen), rows[chosen].mean(0))
    assert not mean_of_rows(rows, torch.zeros(300, dtype=torch.bool)).any()
