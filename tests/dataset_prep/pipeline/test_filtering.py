from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.pipeline.filtering import (
    Filters,
    filter_interactions,
    first_of_each_pair,
    in_k_core,
    present,
    raw_step,
)

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=60)


def frame(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """Interactions of (user, item, rating, timestamp)."""
    inter = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    return inter.astype({"user_id": "category", "item_id": "category"})


def k_core_by_hand(pairs: list[tuple[int, int]], k: int) -> set[tuple[int, int]]:
    """Remove one user or item that has too few pairs, again and again."""
    left = set(pairs)
    while True:
        entities = {(side, pair[side]) for pair in left for side in (0, 1)}
        poor = next((e for e in entities if sum(pair[e[0]] == e[1] for pair in left) < k), None)
        if poor is None:
            return left
        left = {pair for pair in left if pair[poor[0]] != poor[1]}


@settings(deadline=None)
@given(PAIRS, st.integers(1, 4))
def test_k_core_equals_removal_one_by_one(pairs: list[tuple[int, int]], k: int) -> None:
    distinct = sorted(set(pairs))
    codes = np.array(distinct, dtype=np.int32).reshape(-1, 2)
    kept = in_k_core(codes[:, 0], codes[:, 1], k)
    assert {pair for pair, keep in zip(distinct, kept, strict=True) if keep} == k_core_by_hand(
        distinct, k
    )


@settings(deadline=None)
@given(PAIRS, st.data())
def test_keeps_first_event_and_counts_all(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    times = st.lists(
        st.sampled_from([1.0, 2.0, 3.0, math.nan]), min_size=len(pairs), max_size=len(pairs)
    )
    timestamps = data.draw(times)
    counts = data.draw(st.lists(st.integers(1, 5), min_size=len(pairs), max_size=len(pairs)))
    expected: dict[int, int] = {}
    for pair in set(pairs):
        rows = [row for row, other in enumerate(pairs) if other == pair]
        first = min(
            rows,
            key=lambda row: (math.inf if math.isnan(timestamps[row]) else timestamps[row], row),
        )
        expected[first] = sum(counts[row] for row in rows)
    codes = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    rows, totals = first_of_each_pair(
        codes[:, 0], codes[:, 1], np.array(timestamps), np.array(counts)
    )
    assert rows.tolist() == sorted(expected)
    assert dict(zip(rows.tolist(), totals.tolist(), strict=True)) == expected


@settings(deadline=None)
@given(PAIRS)
def test_keeps_first_row_without_timestamps(pairs: list[tuple[int, int]]) -> None:
    codes = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    rows, _ = first_of_each_pair(codes[:, 0], codes[:, 1])
    assert rows.tolist() == sorted(pairs.index(pair) for pair in set(pairs))


def test_filters_run_in_order() -> None:
    inter = frame(
        [
            ("a", "x", 5, 30),
            ("a", "x", 4, 10),  # the first of the pair that is rated high enough
            ("a", "x", 1, 5),  # rated too low
            ("a", "y", 4, 1),
            ("b", "x", 4, 1),
            ("b", "y", 4, 1),
            ("c", "x", 4, 1),  # the user's only one
            ("d", "z", math.nan, 1),  # without a rating
        ]
    )
    kept, steps = filter_interactions(inter, Filters(min_rating=4, k_core=2))
    assert [(step.interactions, step.users, step.items) for step in steps] == [
        (6, 3, 2),
        (5, 3, 2),
        (4, 2, 2),
    ]
    assert [(row.user_id, row.item_id, row.timestamp) for row in kept.itertuples()] == [
        ("a", "x", 10),
        ("a", "y", 1),
        ("b", "x", 1),
        ("b", "y", 1),
    ]
    assert list(present(kept, "item_id")) == ["x", "y"]


def test_min_interactions_counts_events() -> None:
    inter = frame(
        [("a", "x", 1, 3), ("a", "x", 1, 2), ("a", "y", 1, 1), ("b", "x", 1, 1), ("b", "x", 1, 9)]
    )
    kept, _ = filter_interactions(inter, Filters(min_interactions=2))
    assert kept[["user_id", "item_id", "timestamp", "count"]].to_numpy().tolist() == [
        ["a", "x", 2, 2],
        ["b", "x", 1, 2],
    ]


def test_counts_of_repeated_pairs_are_added() -> None:
    inter = frame([("a", "x", 1, 3), ("a", "x", 1, 2), ("a", "y", 1, 1)]).assign(count=[4, 5, 6])
    kept, _ = filter_interactions(inter, Filters())
    assert kept["count"].tolist() == [9, 6]


def test_filters_without_effect() -> None:
    inter = frame([("a", "x", 1, 3), ("b", "x", 2, 2)])
    kept, steps = filter_interactions(inter, Filters())
    assert steps == []
    pd.testing.assert_frame_equal(kept, inter)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (Filters(min_rating=6), "no interactions are left .*rating of at least 6"),
        (Filters(k_core=2), "no interactions are left .*2-core"),
    ],
)
def test_names_a_filter_without_a_rest(filters: Filters, message: str) -> None:
    with pytest.raises(DataError, match=message):
        filter_interactions(frame([("a", "x", 1, 3), ("b", "y", 2, 2)]), filters)


def test_refuses_a_set_without_interactions() -> None:
    with pytest.raises(DataError, match="the data set has no interactions"):
        raw_step(frame([]))


def test_refuses_min_rating_without_ratings() -> None:
    inter = frame([("a", "x", 1, 3)]).drop(columns="rating")
    with pytest.raises(DataError, match="--min_rating: the data set has no ratings"):
        filter_interactions(inter, Filters(min_rating=3))


def test_refuses_interactions_without_user() -> None:
    inter = frame([("a", "x", 1, 3), ("b", "x", 1, 3)])
    inter["user_id"] = inter["user_id"].cat.remove_categories("b")
    with pytest.raises(DataError, match="no user_id"):
        filter_interactions(inter, Filters())
