"""ALDI against its losses in NumPy, pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from recbole_sibrar.model.baselines import ALDI

Make = Callable[..., Any]
KEYS = {
    "preference_size": 3,
    "teacher_scale": 4.0,
    "frequency_scale": 0.7,
    "frequency_cap": 1.0,
    "batch_norm": "none",
    "ranking_weight": 0.5,
    "identification_weight": 0.3,
    "rating_weight": 0.2,
    "normalize_branch_input": False,
    "seed": 1,
}


@pytest.fixture
def model(make: Make) -> Any:
    return make(ALDI, **KEYS).eval()


def entropy(logit: float, probability: float) -> float:
    """Binary cross-entropy by its definition."""
    found = expit(logit)
    return float(-probability * np.log(found) - (1 - probability) * np.log(1 - found))


def test_known_items_have_the_teacher(make: Make, world: Any) -> None:
    """With full rank, the teacher's scores are the scaled interactions."""
    model = make(ALDI, **{**KEYS, "preference_size": 5}).eval()
    teacher = 4.0 * world.matrix
    found = (model.encode_users() @ model.encode_items().T).detach().numpy()
    np.testing.assert_allclose(found[1:6, 1:7], teacher[1:6, 1:7], atol=1e-4)


def test_new_items_have_the_student(model: Any, reference: Make) -> None:
    found = (model.encode_users() @ model.encode_items().T).detach().numpy()
    users, items = reference(model, "user"), reference(model, "item")
    for user in (1, 4):
        assert found[user, 7] == pytest.approx(
            users.concatenated(user) @ items.concatenated(7), abs=1e-5
        )


def test_loss(model: Any, reference: Make, batch: Any, world: Any) -> None:
    users, items = reference(model, "user"), reference(model, "item")
    u, v = users.preferences, items.preferences
    of_batch, candidates = (part.numpy() for part in model._batch(batch))
    student = {item: items.concatenated(item) for item in set(candidates.flatten().tolist())}
    negatives = candidates[:, 1:].flatten()

    own, ranking, identification, positive_gap, negative_gap = [], [], [], [], []
    for user, (positive, *others) in zip(of_batch, candidates, strict=True):
        mapped = users.concatenated(user)
        weight = np.tanh(min(0.7 * world.matrix[:, positive].sum(), 1.0))
        scores = {
            item: (mapped @ student[item], 4.0 * u[user] @ v[item]) for item in (positive, *others)
        }
        for other in others:
            margin, taught = (scores[positive][n] - scores[other][n] for n in (0, 1))
            own.append(entropy(margin, 1.0))
            ranking.append(weight * entropy(margin, expit(taught)))
            negative_gap.append(abs(np.subtract(*scores[other])))
        positive_gap.append(abs(np.subtract(*scores[positive])))

        s, t = student[positive], v[positive]
        of_student = s @ s - np.mean([s @ student[other] for other in negatives])
        of_teacher = 4.0 * (t @ t - np.mean([t @ v[other] for other in negatives]))
        identification.append(weight * entropy(of_student, expit(of_teacher)))

    gaps = np.mean(positive_gap) + np.mean(negative_gap)
    expected = np.mean(own) + 0.5 * np.mean(ranking) + 0.3 * np.mean(identification) + 0.2 * gaps
    assert model.calculate_loss(batch).item() == pytest.approx(expected, rel=1e-4)
