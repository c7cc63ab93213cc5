"""ContentKNN and GenreAffinity against loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.baselines import ContentKNN, GenreAffinity
from recbole_sibrar.model.baselines.features import most_similar

Build = Callable[..., Any]
Content = dict[str, np.ndarray]

WEIGHTS = {"group": 0.5, "labels": 1.0, "price": 2.0, "text": 3.0}


def similarity(content: Content, a: int, b: int, weights: dict[str, float]) -> float:
    """Weighted mean of cosines."""
    cosines = [weights.get(name, 1.0) * float(rows[a] @ rows[b]) for name, rows in content.items()]
    return sum(cosines) / sum(weights.get(name, 1.0) for name in content)


def nearest(
    content: Content, entity: int, known: range, k: int, weights: dict[str, float]
) -> dict[int, float]:
    """The k nearest known entities and their similarities."""
    found = {
        other: similarity(content, entity, other, weights) for other in known if other != entity
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1])[:k])


def test_items(build: Build, world: Any, item_content: Content) -> None:
    found = build(ContentKNN, k=2, modality_weights=WEIGHTS, user_modalities=["age"]).score(
        np.arange(7)
    )
    for item in (1, 2, 4, 7):
        neighbors = nearest(item_content, item, range(1, 7), 2, WEIGHTS)
        for user in range(1, 6):
            expected = sum(
                weight for other, weight in neighbors.items() if world.matrix[user, other]
            )
            assert found[user, item] == pytest.approx(expected, abs=1e-6)


def test_equal_neighbors() -> None:
    # of equal similarities, as of items with one category, those of the first items count
    similarities = np.random.default_rng(0).integers(0, 3, (50, 300)).astype(float)
    sorted_rows = np.argsort(-similarities, axis=1, kind="stable")
    for k in (1, 10, 150, 300):
        expected = np.sort(sorted_rows[:, :k], axis=1)
        assert most_similar(similarities, k).tolist() == expected.tolist()


def test_ties_follow_the_seed(build: Build, item_content: Content) -> None:
    # items with one category are alike: which of them counts is a draw, and no matter of the file's order
    groups = item_content["group"]
    keys = {"k": 1, "item_modalities": ["group"], "user_modalities": ["age"]}
    found = [build(ContentKNN, **keys, seed=seed).neighbors.T.tocsr() for seed in range(40)]
    for item in range(1, 7):
        alike = {other for other in range(1, 7) if other != item and groups[item] @ groups[other]}
        drawn = {int(matrix[item].indices[0]) for matrix in found if matrix[item].data.any()}
        assert drawn == alike
    again = build(ContentKNN, **keys, seed=3).neighbors.T.tocsr()
    assert (again != found[3]).nnz == 0


def test_item_without_content(build: Build) -> None:
    assert not build(ContentKNN).score(np.arange(7))[:, 8].any()


def test_users(build: Build, world: Any, user_content: Content) -> None:
    found = build(ContentKNN, k=2, neighbor_side="user").score(np.arange(7))
    for user in (1, 2, 3, 5):  # user 6 has no age
        neighbors = nearest(user_content, user, range(1, 6), 2, {})
        if len(set(neighbors.values())) == 1 and 0 in neighbors.values():
            continue
        expected = sum(weight * world.matrix[other] for other, weight in neighbors.items())
        np.testing.assert_allclose(found[user], expected, atol=1e-6)


def test_side_follows_the_split(build: Build, world: Any) -> None:
    assert build(ContentKNN).side == "item"
    world.evaluated = {"user": (4, 4), "item": (5, 0)}
    assert build(ContentKNN).side == "user"
    world.evaluated = {"user": (4, 4), "item": (5, 5)}
    assert build(ContentKNN).side == "item"


def test_affinity(build: Build, world: Any) -> None:
    found = build(GenreAffinity, item_modalities=["labels"]).score(np.arange(7))
    for user in range(1, 6):
        chosen = [item for item in range(1, 9) if world.matrix[user, item]]
        for item in range(1, 9):
            shares = [
                sum(label in world.labels[other] for other in chosen) / len(chosen)
                for label in world.labels[item]
            ]
            assert found[user, item] == pytest.approx(sum(shares), abs=1e-6)


def test_affinity_of_new_users(build: Build, world: Any) -> None:
    found = build(GenreAffinity, item_modalities=["labels"]).score(np.array([6]))[0]
    counts = world.matrix.sum(0)
    mean = np.zeros(4)
    for item, labels in enumerate(world.labels):
        for label in labels:
            mean[label] += counts[item] / counts.sum()
    assert found[7] == pytest.approx(mean[1] + mean[3], abs=1e-6)


def test_predict(build: Build) -> None:
    model = build(ContentKNN)
    users, items = torch.tensor([3, 1, 3]), torch.tensor([1, 7, 2])
    found = model.predict(Interaction({"user_id": users, "item_id": items}))
    full = model.full_sort_predict(Interaction({"user_id": users})).view(3, -1)
    assert torch.equal(found, full[torch.arange(3), items])
    assert bool((full[:, 0] == -torch.inf).all())


def test_wrong_side(build: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^neighbor_side: found 'items', allowed is one of auto, item, user"
    ):
        build(ContentKNN, neighbor_side="items")


def test_side_without_content(build: Build, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {side: world.modality_tables(side) for side in ("user", "item")}
    del tables["user"]["age"]
    monkeypatch.setattr(world, "modality_tables", lambda side: dict(tables[side]))
    with pytest.raises(
        ConfigError,
        match=r"^neighbor_side: found 'user', allowed is auto or item, as the users have no",
    ):
        build(ContentKNN, neighbor_side="user")
