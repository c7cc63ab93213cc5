"""Numbers of the closed form, chosen on held-out training items, against scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from recbole_sibrar.model.training.factors import start_factors
from recbole_sibrar.model.training.held_out import PENALTIES, ClosedForm, choose_numbers, ndcg

Kernels = Mapping[str, NDArray[np.float32]]
N_USERS, N_ITEMS = 400, 80
START = ClosedForm(l2=50.0, ridge=1.0, popularity=0.0, weights=(("kind", 1.0), ("noise", 1.0)))


@pytest.fixture
def world() -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Make users with a taste for kinds of items, similarities of the kinds, and those of noise."""
    rng = np.random.default_rng(4)
    vectors, noise = (unit(rng.normal(size=(N_ITEMS, 3))) for _ in range(2))
    tastes = unit(rng.normal(size=(N_USERS, 3)))
    chance = 0.02 + 0.6 * (tastes @ vectors.T > 0.6)
    matrix = (rng.random((N_USERS, N_ITEMS)) < chance).astype(np.float32)
    matrix[rng.integers(N_USERS, size=N_ITEMS), np.arange(N_ITEMS)] = 1
    kernels = {"kind": vectors @ vectors.T, "noise": noise @ noise.T}
    return matrix, {name: kernel.astype(np.float32) for name, kernel in kernels.items()}


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring rows to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def chosen(
    matrix: NDArray[np.float32], kernels: Kernels, **is_open: bool
) -> tuple[ClosedForm, ClosedForm]:
    """Choose twice, to see that equal seeds give equal numbers."""
    keys = {
        "l2": False,
        "ridge": False,
        "popularity": False,
        "weights": False,
        "rarity": False,
        **is_open,
    }

    def of(items: NDArray[np.int64], rarity: float) -> Kernels:
        return {name: kernel[np.ix_(items, items)] for name, kernel in kernels.items()}

    first, second = (choose_numbers(csr_matrix(matrix), of, START, keys, seed=1) for _ in range(2))
    return first, second


def test_ndcg_as_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, found = rng.random((20, 30)), (rng.random((20, 30)) < 0.2).astype(np.float32)
    found[:, 0] = 1
    assert ndcg(scores, found).mean() == pytest.approx(ndcg_score(found, scores, k=10))


def test_useless_field_loses_its_weight(world: tuple[NDArray[np.float32], Kernels]) -> None:
    numbers, again = chosen(*world, weights=True)
    assert numbers == again
    weights = dict(numbers.weights)
    assert weights["noise"] <= 1 <= weights["kind"]
    assert weights["noise"] < weights["kind"]
    assert (numbers.l2, numbers.ridge, numbers.popularity) == (50.0, 1.0, 0.0)


def test_closed_numbers_stay(world: tuple[NDArray[np.float32], Kernels]) -> None:
    assert chosen(*world)[0] == START
    numbers = chosen(*world, ridge=True)[0]
    assert (numbers.l2, numbers.weights) == (START.l2, START.weights)
    assert str(numbers).startswith("warm_start_l2=50, warm_start_ridge=")


def test_rare_labels_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    # one rare label of each item tells who likes it, and four common ones tell nothing
    kinds = np.arange(N_ITEMS) % 16
    rare, common = np.eye(16)[kinds], rng.random((N_ITEMS, 8)) < 0.5
    chance = np.where(rng.integers(16, size=(N_USERS, 1)) == kinds, 0.7, 0.02)
    matrix = csr_matrix(rng.random((N_USERS, N_ITEMS)) < chance, dtype=np.float32)

    def of(items: NDArray[np.int64], rarity: float) -> Kernels:
        labels = unit(np.hstack([rare * 3.0**rarity, common]) + 1e-9)[items].astype(np.float32)
        return {"kind": labels @ labels.T}

    start = replace(START, weights=(("kind", 1.0),))
    keys = dict.fromkeys(["l2", "ridge", "popularity", "weights"], False)
    # a small catalogue leaves them as they are
    assert choose_numbers(matrix, of, start, {**keys, "rarity": True}, seed=0) == start
    monkeypatch.setattr("recbole_sibrar.model.training.held_out.MAX_ITEMS", 20)
    assert choose_numbers(matrix, of, start, {**keys, "rarity": True}, seed=0).rarity == 1.0
    assert choose_numbers(matrix, of, start, {**keys, "rarity": False}, seed=0) == start


def test_more_items_have_the_last_word(
    world: tuple[NDArray[np.float32], Kernels], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, kernels = csr_matrix(world[0]), world[1]
    sizes = []

    def of(items: NDArray[np.int64], rarity: float) -> Kernels:
        sizes.append(len(items))
        return {name: kernel[np.ix_(items, items)] for name, kernel in kernels.items()}

    keys = {"l2": False, "ridge": True, "popularity": False, "weights": False, "rarity": False}
    monkeypatch.setattr("recbole_sibrar.model.training.held_out.MAX_ITEMS", 15)
    monkeypatch.setattr("recbole_sibrar.model.training.held_out.MANY_ITEMS", 70)
    found = choose_numbers(matrix, of, START, keys, seed=1)
    assert sizes == [15, 70]
    monkeypatch.setattr("recbole_sibrar.model.training.held_out.MAX_ENTRIES", 2 * 15**2)
    sizes.clear()
    choose_numbers(matrix, of, START, keys, seed=1)
    assert sizes == [15]  # as many as the memory holds
    assert found.ridge in PENALTIES


def test_nothing_to_choose_from() -> None:
    kernel = np.eye(3, dtype=np.float32)
    numbers = chosen(np.eye(3, dtype=np.float32), {"kind": kernel, "noise": kernel}, ridge=True)[0]
    assert numbers == START


def test_factors_of_new_items_are_the_best(
    world: tuple[NDArray[np.float32], Kernels],
) -> None:
    matrix, kernels = world
    matrix = matrix[matrix.any(1)]
    kernel = kernels["kind"] + kernels["noise"] + 1e-3 * np.eye(N_ITEMS)

    # EASE, and the prediction of each item from the others, by ridge regressions one by one
    scores, left_out = np.zeros(matrix.shape), np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        others = np.delete(np.arange(N_ITEMS), item)
        model = Ridge(alpha=START.l2, fit_intercept=False)
        model.fit(matrix[:, others], matrix[:, item])
        scores[:, item] = model.predict(matrix[:, others])
        content = KernelRidge(alpha=1.0, kernel="precomputed")
        content.fit(kernel[np.ix_(others, others)], np.eye(len(others)))
        left_out[others, item] = content.predict(kernel[[item]][:, others])[0]

    centred = scores - scores.mean(1, keepdims=True)
    predicted = centred @ left_out
    predicted /= np.linalg.norm(predicted, axis=1, keepdims=True)
    rank = 4
    left = np.linalg.svd(predicted)[0][:, :rank]

    sparse = csr_matrix(matrix)
    profiles = csr_matrix(matrix / np.sqrt(matrix.sum(1, keepdims=True)), dtype=np.float32)
    factors = start_factors(sparse, START, left_out.astype(np.float32), rank + 1, 0, profiles)
    users = factors.users_of(profiles)[:, :rank].numpy()
    # the same space of users, whatever the basis
    assert (
        np.linalg.matrix_rank(np.hstack([users / np.linalg.norm(users, axis=0), 0 * left])) == rank
    )
    roots = np.sqrt(matrix.sum(1, keepdims=True))
    sizes = np.linalg.norm(centred @ left_out, axis=1, keepdims=True)
    expected = sizes / roots * (left @ (left.T @ (scores / sizes)))
    found = users @ factors.items[:, :rank].numpy().T
    assert found / found.std() == pytest.approx(expected / expected.std(), abs=2e-2)


def test_short_embeddings(caplog: pytest.LogCaptureFixture) -> None:
    # random interactions have no common structure, so that few numbers hold few of the scores
    matrix = csr_matrix((np.random.default_rng(1).random((60, 30)) < 0.3).astype(np.float32))
    profiles = csr_matrix(matrix / np.sqrt(matrix.sum(1)))
    for size, is_short in ((6, True), (40, False)):
        caplog.clear()
        start_factors(matrix, START, None, size, 0, profiles)
        found = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert any(f"--embedding_size={2 * size}" in line for line in found) == is_short
