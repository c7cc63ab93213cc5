"""EASEContent, AttributeMap and CEASE against scikit-learn, column by column."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.baselines import CEASE, AttributeMap, EASEContent, easecontent, regression
from recbole_sibrar.model.baselines.features import ContentBlock
from recbole_sibrar.model.baselines.regression import ContentKernel, ContentRegression

Build = Callable[..., Any]
Content = dict[str, np.ndarray]

KNOWN, NEW = np.arange(1, 7), np.array([7, 8])
USERS = np.arange(7)
WEIGHTS = {"group": 0.5, "labels": 1.0, "price": 2.0, "text": 3.0}


def ease(matrix: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of EASE: ridge regression of each column on all others."""
    n = matrix.shape[1]
    weights = np.zeros((n, n))
    for column in range(n):
        others = np.arange(n) != column
        ridge = Ridge(alpha=penalty, fit_intercept=False, tol=1e-12).fit(
            matrix[:, others], matrix[:, column]
        )
        weights[others, column] = ridge.coef_
    return weights


def kernel(content: Content, weights: dict[str, float]) -> np.ndarray:
    """Exponential kernel, pair by pair."""
    n = len(next(iter(content.values())))
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            cosines = {name: float(rows[i] @ rows[j]) for name, rows in content.items()}
            found[i, j] = np.exp(sum(weights[name] * (cosines[name] - 1) for name in content))
    return found


def carried(
    content: Content, targets: np.ndarray, alpha: float, known: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Targets of new entities by scikit-learn's kernel ridge."""
    matrix = kernel(content, WEIGHTS if len(content) > 1 else dict.fromkeys(content, 1.0))
    mean = targets.mean(0)
    regression = KernelRidge(alpha=alpha, kernel="precomputed").fit(
        matrix[np.ix_(known, known)], targets - mean
    )
    return regression.predict(matrix[np.ix_(new, known)]) + mean


def test_kernel_ridge(build: Build, world: Any, item_content: Content) -> None:
    keys = {
        "reg_weight": 0.7,
        "ridge_weight": 0.3,
        "modality_weights": WEIGHTS,
        "user_modalities": ["age"],
    }
    found = build(EASEContent, **keys).score(USERS)

    scores = world.matrix[:, KNOWN] @ ease(world.matrix[:, KNOWN], 0.7)
    np.testing.assert_allclose(found[1:6, KNOWN], scores[1:6], atol=1e-5)
    new = carried(item_content, scores.T, 0.3, KNOWN, NEW).T
    np.testing.assert_allclose(found[1:6, NEW], new[1:6], atol=1e-5)


def test_new_users(build: Build, world: Any, user_content: Content) -> None:
    found = build(EASEContent, reg_weight=0.7, ridge_weight=0.3).score(USERS)
    profile = carried(
        user_content, world.matrix[1:6][:, KNOWN], 0.3, np.arange(1, 6), np.array([6])
    )
    expected = profile @ ease(world.matrix[:, KNOWN], 0.7)
    np.testing.assert_allclose(found[6, KNOWN], expected[0], atol=1e-5)


def test_ridge_is_linear(build: Build, world: Any, item_content: Content) -> None:
    model = build(
        EASEContent, kernel="linear", reg_weight=0.7, ridge_weight=0.3, modality_weights=WEIGHTS
    )
    features = np.hstack([np.sqrt(WEIGHTS[name]) * rows for name, rows in item_content.items()])
    targets = (world.matrix[:, KNOWN] @ ease(world.matrix[:, KNOWN], 0.7)).T
    ridge = Ridge(alpha=0.3, fit_intercept=False, solver="svd").fit(
        features[KNOWN], targets - targets.mean(0)
    )
    expected = ridge.predict(features[NEW]) + targets.mean(0)
    np.testing.assert_allclose(model.score(USERS)[:6, NEW], expected.T[:6], atol=1e-5)


def test_item_without_content(build: Build, world: Any) -> None:
    scores = build(EASEContent, kernel="linear").score(USERS)
    np.testing.assert_allclose(scores[1:6, 8], scores[1:6][:, KNOWN].mean(1), atol=1e-6)


def test_low_rank(build: Build, world: Any) -> None:
    model = build(EASEContent, exact_size=4, rank=5, n_landmarks=6, reg_weight=0.7)
    gram = world.matrix[:, KNOWN].T @ world.matrix[:, KNOWN]
    expected = world.matrix[:, KNOWN] @ np.linalg.solve(gram + 0.7 * np.eye(6), gram)
    np.testing.assert_allclose(model.score(USERS)[1:6, KNOWN], expected[1:6], atol=1e-4)


def test_landmarks(build: Build, world: Any, item_content: Content) -> None:
    """A kernel through three items: K(., L) K(L, L)^+ K(L, .) in scikit-learn's dual form."""
    keys = {
        "exact_size": 5,
        "rank": 5,
        "n_landmarks": 3,
        "ridge_weight": 0.3,
        "modality_weights": WEIGHTS,
    }
    model = build(EASEContent, **keys, user_modalities=["age"])
    known_factors = model.known_factors.astype(float)
    drawn = KNOWN[np.sort(np.random.default_rng(1).choice(6, 3, replace=False))]

    full = kernel(item_content, WEIGHTS)
    through = full[:, drawn] @ np.linalg.pinv(full[np.ix_(drawn, drawn)]) @ full[drawn]
    mean = known_factors.mean(0)
    dual = KernelRidge(alpha=0.3, kernel="precomputed").fit(
        through[np.ix_(KNOWN, KNOWN)], known_factors - mean
    )
    expected = dual.predict(through[np.ix_(NEW, KNOWN)]) + mean
    np.testing.assert_allclose(model.new_factors, expected, atol=1e-5)


@pytest.mark.parametrize("keys", [{}, {"exact_size": 5, "rank": 5, "n_landmarks": 3}])
def test_many_new_items_in_blocks(
    build: Build, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    kept = build(EASEContent, **keys).score(USERS)
    monkeypatch.setattr(easecontent, "KEPT", 0)
    monkeypatch.setattr(regression, "_SIMILARITIES", 1)  # a new item at a time
    model = build(EASEContent, **keys)
    assert model.new_factors is None
    np.testing.assert_allclose(model.score(USERS), kept, atol=1e-6)


def test_attribute_map(build: Build, world: Any, item_content: Content) -> None:
    model = build(
        AttributeMap, rank=5, ridge_weight=0.5, modality_weights=WEIGHTS, user_modalities=["age"]
    )
    left, values, right = np.linalg.svd(world.matrix)
    users, items = left[:, :5] * values[:5], right[:5].T
    np.testing.assert_allclose(
        model.score(USERS)[1:6, KNOWN], (users @ items.T)[1:6, KNOWN], atol=1e-5
    )

    features = np.hstack([np.sqrt(WEIGHTS[name]) * rows for name, rows in item_content.items()])
    mean = items[KNOWN].mean(0)
    ridge = Ridge(alpha=0.5, fit_intercept=False, solver="svd").fit(
        features[KNOWN], items[KNOWN] - mean
    )
    expected = users @ (ridge.predict(features[NEW]) + mean).T
    np.testing.assert_allclose(model.score(USERS)[1:6, NEW], expected[1:6], atol=1e-5)


def test_default_rank_of_attribute_map(build: Build, world: Any) -> None:
    """Few users: all six ranks would give back the interactions, and rank all others by errors of rounding."""
    known = build(AttributeMap).score(USERS)[1:6, KNOWN]
    assert np.linalg.matrix_rank(known, tol=1e-5) == 3
    left_out = np.linalg.svd(world.matrix)[1][3:]  # the best of its rank, by Eckart and Young
    error = np.square(known - world.matrix[1:6, KNOWN]).sum()
    assert error == pytest.approx(np.square(left_out).sum(), rel=1e-5)


def test_rank_of_attribute_map(build: Build) -> None:
    with pytest.raises(ConfigError, match=r"^rank: found 7, allowed is at most 6"):
        build(AttributeMap, rank=7)


def test_cease(build: Build, world: Any, item_content: Content) -> None:
    """EASE of the interactions with the content as further rows."""
    model = build(CEASE, reg_weight=0.7, content_weight=2.0, modality_weights=WEIGHTS)
    content = [np.sqrt(2.0 * WEIGHTS[name]) * rows.T for name, rows in item_content.items()]
    weights = ease(np.vstack([world.matrix, *content]), 0.7)
    np.testing.assert_allclose(model.score(USERS), world.matrix @ weights, atol=1e-5)


def test_size_of_cease(build: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^exact_size: found 8, allowed is at least the number of items, 9"
    ):
        build(CEASE, exact_size=8)


@pytest.mark.parametrize("n_landmarks", [None, 30])
def test_blocks(monkeypatch: pytest.MonkeyPatch, n_landmarks: int | None) -> None:
    """A few entities at a time, and sparse targets, give the same as all at once."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(80, 5)).astype(np.float32)
    block = ContentBlock("text", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    targets = generator.random((60, 4)) * (generator.random((60, 4)) < 0.3)
    known, new = np.arange(60), np.arange(60, 80)

    def predicted(values: Any) -> np.ndarray:
        kernel = ContentKernel((block,), (1.0,), "exponential")
        return ContentRegression(kernel, known, 0.3, n_landmarks).fit(values).predict(new)

    at_once = predicted(targets)
    monkeypatch.setattr("recbole_sibrar.model.baselines.regression._SIMILARITIES", 100)
    np.testing.assert_allclose(predicted(csr_matrix(targets)), at_once, atol=1e-6)


def test_memory_of_new_users() -> None:
    """Features of 60,000 users by 200 landmarks would take 96 MB, their dense targets 240 MB."""
    n = 60_000
    block = ContentBlock("age", np.eye(8, dtype=np.float32)[np.arange(n) % 8])
    targets = csr_matrix((np.ones(n), (np.arange(n), np.arange(n) % 500)), shape=(n, 500))
    regression = ContentRegression(ContentKernel((block,), (1.0,)), np.arange(n), 1.0, 200)

    tracemalloc.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recbole_sibrar.model.baselines.regression._SIMILARITIES", 1 << 20)
        regression.fit(targets)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60_000_000


def test_new_users_of_low_rank(build: Build, world: Any, user_content: Content) -> None:
    """Rank 5 is the whole rank of the matrix, so that the profile of a new user passes through ridge regression."""
    found = build(
        EASEContent, exact_size=5, rank=5, n_landmarks=6, reg_weight=0.7, ridge_weight=0.3
    ).score(USERS)
    profile = carried(
        user_content, world.matrix[1:6][:, KNOWN], 0.3, np.arange(1, 6), np.array([6])
    )
    gram = world.matrix[:, KNOWN].T @ world.matrix[:, KNOWN]
    np.testing.assert_allclose(
        found[6, KNOWN], (profile @ np.linalg.solve(gram + 0.7 * np.eye(6), gram))[0], atol=1e-4
    )


def test_scaling_of_unknown_vectors(build: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^normalize_vectors: found 'texts', allowed is .* did you mean 'text'"
    ):
        build(EASEContent, normalize_vectors={"texts": "standard"})
    with pytest.raises(
        ConfigError,
        match=r"^user_normalize_vectors: found 'text', allowed is .* none in these data",
    ):
        build(EASEContent, user_normalize_vectors={"text": "standard"})
