"""Numbers of the closed form for new users, chosen on held-out training users, against scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from recbole_sibrar.data.modality import ModalityKind, ModalityTable, dense_table
from recbole_sibrar.model.example import ExampleData
from recbole_sibrar.model.sibrar import SiBraR
from recbole_sibrar.model.training.held_out import ClosedForm
from recbole_sibrar.model.training.held_out_users import _Part, choose_for_users
from recbole_sibrar.names import Side

Kernels = Mapping[str, NDArray[np.float32]]
N_USERS, N_ITEMS = 300, 40
NUMBERS = ClosedForm(l2=20.0, ridge=1.0, popularity=0.3, weights=(("group", 1.0), ("noise", 1.0)))


@pytest.fixture
def world() -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Make groups of users with favourite items, similarities of the groups, and those of noise."""
    rng = np.random.default_rng(7)
    groups, noise = rng.integers(4, size=N_USERS), rng.integers(30, size=N_USERS)
    chance = 0.1 + 0.2 * (np.arange(N_ITEMS) % 4 == groups[:, None])
    matrix = (rng.random(chance.shape) < chance).astype(np.float32)
    matrix[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = 1
    kernels = {"group": groups[:, None] == groups, "noise": noise[:, None] == noise}
    return matrix, {name: kernel.astype(np.float32) for name, kernel in kernels.items()}


def test_new_users_by_scikit_learn(world: tuple[NDArray[np.float32], Kernels]) -> None:
    matrix, kernels = world
    users = np.random.default_rng(0).permutation(N_USERS)
    own = {name: kernel[np.ix_(users, users)] for name, kernel in kernels.items()}
    found = _Part(csr_matrix(matrix), own, users, 60).measure(NUMBERS)

    known, kernel = matrix[users[60:]], own["group"] + own["noise"]
    scores = np.zeros(known.shape)
    for item in range(N_ITEMS):
        others = np.delete(np.arange(N_ITEMS), item)
        ease = Ridge(alpha=NUMBERS.l2, fit_intercept=False).fit(known[:, others], known[:, item])
        scores[:, item] = ease.predict(known[:, others])
    # the root, and back by the fourth root
    scores /= known.sum(1, keepdims=True) ** 0.25
    scores -= scores.mean(1, keepdims=True)
    popularity = np.log1p(known.sum(0))
    targets = scores / scores.std() + 0.3 * (popularity - popularity.mean())
    mean = targets.mean(0)
    model = KernelRidge(alpha=1.0, kernel="precomputed").fit(kernel[60:, 60:], targets - mean)
    predicted = model.predict(kernel[:60, 60:]) + mean
    expected = ndcg_score(matrix[users[:60]], predicted, k=10)
    assert found.mean() == pytest.approx(expected, abs=2e-3)


def test_useless_user_field_loses_its_weight(
    world: tuple[NDArray[np.float32], Kernels],
) -> None:
    matrix, kernels = world
    is_open = {"l2": False, "ridge": False, "popularity": False, "weights": True, "rarity": False}

    def of(users: NDArray[np.int64], rarity: float) -> Kernels:
        return {name: kernel[np.ix_(users, users)] for name, kernel in kernels.items()}

    start = replace(NUMBERS, weights=(("group", 1.0), ("noise", 0.1)))
    numbers = choose_for_users(csr_matrix(matrix), of, start, is_open, seed=0)
    weights = dict(numbers.weights)
    assert weights["noise"] == 0 < weights["group"]
    assert (numbers.l2, numbers.ridge, numbers.popularity) == (20.0, 1.0, 0.3)
    # fewer users than parts
    few = choose_for_users(csr_matrix(matrix[:4]), of, NUMBERS, is_open, seed=0)
    assert few == NUMBERS


class UsersOfGroups(ExampleData):
    """Users of two groups; the last one is new."""

    groups = np.array([0, 1, 2, 1, 2, 1, 2])

    def __init__(self) -> None:
        super().__init__()
        self.matrix[6] = False

    def modality_tables(self, side: Side) -> dict[str, ModalityTable]:
        """Add the groups of the users."""
        tables = super().modality_tables(side)
        if side == "user":
            groups = torch.from_numpy(self.groups)
            kind = ModalityKind.CATEGORICAL
            tables["group"] = dense_table("group", kind, groups, groups > 0, 3)
        return tables


KEYS: dict[str, Any] = {
    "branch_hidden_sizes": [],
    "batch_norm": "none",
    "normalize_branch_input": False,
    "warm_start": "ease",
    "warm_start_l2": 3.0,
    "warm_start_popularity": 0.0,
    "warm_start_weights": 1.0,
    "user_modalities": ["interactions", "group"],
    "modality_sampling": False,
    "contrastive": "none",
}


def scores_of(**keys: Any) -> np.ndarray:
    """Score known items for all users."""
    data = UsersOfGroups()
    model = SiBraR(data.config("SiBraR", **KEYS, **keys), data).eval()
    return (model.encode_users() @ model.encode_items().t()).detach().numpy()[1:, 1:8]


@pytest.mark.parametrize("how", ["mean", "sum"])
def test_a_new_user_by_its_group(how: str) -> None:
    keys = {"item_modalities": ["id"], "item_aggregation": how, "warm_start_ridge": 0.4}
    found, data = scores_of(**keys)[5], UsersOfGroups()

    matrix = data.matrix[1:6, 1:8].astype(float)
    scores = np.zeros(matrix.shape)
    for item in range(7):
        others = np.delete(np.arange(7), item)
        ease = Ridge(alpha=3.0, fit_intercept=False).fit(matrix[:, others], matrix[:, item])
        scores[:, item] = ease.predict(matrix[:, others])
    # less the mean of each user, as a user's ranking does not depend on it
    scores = (scores - scores.mean(1, keepdims=True)) / matrix.sum(1, keepdims=True) ** 0.25

    groups, mean = data.groups[1:], scores.mean(0)
    kernel = (groups[:, None] == groups).astype(float)
    model_of_groups = KernelRidge(alpha=0.4, kernel="precomputed")
    model_of_groups.fit(kernel[:5, :5], scores - mean)
    expected = model_of_groups.predict(kernel[5:, :5])[0] + mean
    found, expected = (values - values.mean() for values in (found, expected))
    assert found / found.std() == pytest.approx(expected / expected.std(), abs=1e-2)


def test_known_items_are_nearly_exact() -> None:
    exact = scores_of(item_modalities=["id"])[5]
    keys = {"item_aggregation": "sum", "projection_kernel": "exponential"}
    found = scores_of(item_modalities=["interactions", "text"], **keys)[5]
    assert np.corrcoef(exact, found)[0, 1] > 0.98


def test_known_users_keep_their_taste() -> None:
    keys = {"item_modalities": ["id"], "warm_start_ridge": 0.4}
    with_fields = scores_of(**keys)[:5]
    alone = scores_of(**keys, user_eval_modalities=["interactions"])[:5]
    for fields, own in zip(with_fields, alone, strict=True):
        assert np.corrcoef(fields, own)[0, 1] > 0.99
