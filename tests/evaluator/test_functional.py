"""Every measure against loops over plain lists, on cases made by hand and on random lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_distances

from recbole_sibrar.evaluator import functional

NAN = float("nan")
random_cases = settings(max_examples=60, deadline=None)


@dataclass
class Case:
    """Random lists: of different lengths, some empty, and with items that are no candidates left out."""

    lists: list[list[int]]
    items: np.ndarray
    candidates: np.ndarray
    rng: np.random.Generator

    @property
    def n_items(self) -> int:
        return len(self.candidates)


@st.composite
def cases(draw: Callable[..., int]) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_items, n_users, k = (int(rng.integers(low, high)) for low, high in ((3, 14), (1, 8), (1, 9)))
    candidates = rng.random(n_items) < rng.choice([0.3, 1.0])
    candidates[0] = False
    pool = np.flatnonzero(candidates)
    lists = [rng.permutation(pool)[: rng.integers(0, k + 1)].tolist() for _ in range(n_users)]
    items = np.array([row + [0] * (k - len(row)) for row in lists], dtype=np.int64)
    return Case(lists, items, candidates, rng)


def mean_or_nan(values: Sequence[float]) -> float:
    return fmean(values) if values else NAN


@random_cases
@given(cases())
def test_coverage_of_the_union_of_lists(case: Case) -> None:
    union = set().union(*case.lists)
    found = functional.coverage(case.items, case.candidates)
    if not case.candidates.any():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(len(union) / sum(case.candidates.tolist()))
        assert 0 <= found <= 1


@random_cases
@given(cases())
def test_gini_is_half_the_mean_difference(case: Case) -> None:
    counts = [
        sum(row.count(item) for row in case.lists)
        for item in np.flatnonzero(case.candidates).tolist()
    ]
    found = functional.gini(case.items, case.candidates)
    if not sum(counts):
        assert math.isnan(found)
        return
    difference = fmean(abs(a - b) for a in counts for b in counts)
    assert found == pytest.approx(difference / (2 * fmean(counts)))
    assert 0 <= found < 1


@random_cases
@given(cases())
def test_exposure_ignores_numbering(case: Case) -> None:
    number = np.concatenate([[0], 1 + case.rng.permutation(case.n_items - 1)])
    candidates = np.zeros_like(case.candidates)
    candidates[number] = case.candidates
    items = number[case.items][case.rng.permutation(len(case.items))]
    for measure in (functional.coverage, functional.gini):
        assert measure(items, candidates) == pytest.approx(
            measure(case.items, case.candidates), nan_ok=True
        )


def test_gini_of_equal_exposure_is_zero() -> None:
    everything = np.array([False, True, True, True])
    assert functional.gini(np.array([[1, 2, 3], [3, 1, 2]]), everything) == 0
    assert functional.gini(np.array([[1], [2], [3]]), everything) == 0
    assert functional.coverage(np.array([[0], [0]]), everything) == 0


@random_cases
@given(cases())
def test_unknown_values_are_left_out(case: Case) -> None:
    values = np.where(
        case.rng.random(case.n_items) < 0.4, NAN, case.rng.integers(0, 9, case.n_items)
    )
    known = [[values[item] for item in row if not math.isnan(values[item])] for row in case.lists]
    means = [mean_or_nan(row) for row in known]
    sums = [
        sum(row) if row or not all_items else NAN
        for row, all_items in zip(known, case.lists, strict=True)
    ]
    assert functional.list_mean(case.items, values).tolist() == pytest.approx(means, nan_ok=True)
    assert functional.list_sum(case.items, values).tolist() == pytest.approx(sums, nan_ok=True)


def test_padding_item_counts_nowhere() -> None:
    values = np.array([100.0, 1.0, 2.0])
    assert functional.list_mean(np.array([[1, 0, 2]]), values).tolist() == [1.5]
    assert functional.list_sum(np.array([[1, 0, 2]]), values).tolist() == [3]
    assert functional.exposure(np.array([[0, 0], [1, 0]]), 3).tolist() == [0, 1, 0]


def test_mean_of_an_empty_history() -> None:
    history = csr_matrix(np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=float))
    means = functional.history_mean(history, np.array([NAN, 4.0, 2.0]))
    assert means.tolist() == pytest.approx([3, 2, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("recommended", "profile", "lift"),
    [
        ([6.0, 2.0], [2.0, 2.0], 1.0),  # (4 - 2) / 2
        ([1.0, 1.0], [2.0, 2.0], -0.5),
        (
            [8.0, 1.0, NAN],
            [2.0, 2.0, 50.0],
            1.25,
        ),  # the third user got nothing whose popularity is known
        ([8.0, 1.0], [2.0, NAN], 3.0),  # the second user has no history
        ([8.0], [NAN], NAN),
        ([], [], NAN),
    ],
)
def test_popularity_lift_of_shared_users(
    recommended: list[float], profile: list[float], lift: float
) -> None:
    found = functional.popularity_lift(np.array(recommended), np.array(profile))
    assert found == pytest.approx(lift, nan_ok=True)


@random_cases
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=4))
def test_disparity_of_rates(groups: list[tuple[int, int]]) -> None:
    rates = [got / could for got, could in groups]
    expected = pstdev(rates) / fmean(rates) if any(rates) else NAN
    found = functional.group_disparity(*(np.array(column) for column in zip(*groups, strict=True)))
    assert found == pytest.approx(expected, nan_ok=True)


def test_disparity_without_a_chance() -> None:
    assert math.isnan(functional.group_disparity(np.array([3, 0]), np.array([5, 0])))
    assert functional.group_disparity(np.array([3, 6]), np.array([5, 10])) == 0
    # two groups: 1 is the maximum
    assert functional.group_disparity(np.array([3, 0]), np.array([5, 7])) == 1


@random_cases
@given(cases())
def test_intra_list_distance_by_pairs(case: Case) -> None:
    vectors = case.rng.normal(size=(case.n_items, 4))
    available = case.rng.random(case.n_items) < 0.8
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = cosine_distances(vectors)
    expected = [
        mean_or_nan([distances[i, j] for i, j in combinations([x for x in row if available[x]], 2)])
        for row in case.lists
    ]
    for features in (unit, csr_matrix(unit)):
        found = functional.intra_list_distance(case.items, features, available)
        assert found.tolist() == pytest.approx(expected, nan_ok=True)


def test_equal_features_have_distance_zero() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 30)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in unit:
        (found,) = functional.intra_list_distance(
            np.array([[1, 2, 3]]), np.tile(row, (4, 1)), np.ones(4, dtype=bool)
        )
        assert 0 <= found < 1e-6


@random_cases
@given(cases(), st.floats(0.001, 0.9))
def test_calibration_is_relative_entropy(case: Case, alpha: float) -> None:
    genres = [
        sorted(set(case.rng.integers(0, 4, case.rng.integers(0, 4)).tolist()))
        for _ in range(case.n_items)
    ]
    genres[0] = []

    def distribution(row: list[int]) -> np.ndarray | None:
        total = [
            sum(1 / len(genres[item]) for item in row if genre in genres[item])
            for genre in range(4)
        ]
        return np.array(total) / sum(total) if sum(total) else None

    profiles = [[x for x in range(1, case.n_items) if case.rng.random() < 0.4] for _ in case.lists]
    expected = []
    for profile, row in zip(
        map(distribution, profiles), map(distribution, case.lists), strict=True
    ):
        both = profile is not None and row is not None
        expected.append(entropy(profile, (1 - alpha) * row + alpha * profile) if both else NAN)
    values = csr_matrix(np.array([[float(genre in row) for genre in range(4)] for row in genres]))
    history = csr_matrix(
        np.array([[float(x in row) for x in range(case.n_items)] for row in profiles])
    )
    found = functional.calibration_divergence(
        functional.value_distribution(history, values),
        functional.value_distribution(functional.list_weights(case.items, case.n_items), values),
        alpha,
    )
    assert found.tolist() == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert all(math.isnan(value) or value >= -1e-12 for value in found)


def test_calibration_grows_with_other_genres() -> None:
    profile = np.array([[0.5, 0.5]] * 3)
    lists = np.array([[0.5, 0.5], [0.7, 0.3], [1.0, 0.0]])
    same, other, worst = functional.calibration_divergence(profile, lists, 0.01)
    assert same == 0 < other < worst < math.inf
