"""Filters of interactions: pure functions on arrays of codes, in a few passes over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.errors import DataError

from .raw import Step


@dataclass(frozen=True)
class Filters:
    """Filters of all converters, in their order."""

    min_rating: float | None = None
    """Interactions rated below are left out, and those without a rating."""
    min_interactions: int = 1
    """A pair of a user and an item counts from so many events on."""
    k_core: int = 0
    """Every user and every item has at least so many interactions."""


def filter_interactions(inter: pd.DataFrame, filters: Filters) -> tuple[pd.DataFrame, list[Step]]:
    """Apply all filters: low ratings, repeated pairs, rare pairs, then the k-core.

    Args:
        inter: ``RawData.inter``.
        filters: The options.

    Returns:
        The remaining rows, in their order, each pair once; and a line of the report for each
        filter. The frame has a ``count`` if ``inter`` has one or ``min_interactions`` is above 1.

    Raises:
        DataError: There are no ratings to filter by, an interaction has no user or item, or nothing
            is left.
    """
    for name in ("user_id", "item_id"):
        if (_codes(inter, name) < 0).any():
            raise DataError(f"an interaction has no {name}; each needs one")

    steps: list[Step] = []
    if filters.min_rating is not None:
        if "rating" not in inter:
            raise DataError(
                "--min_rating: the data set has no ratings; leave the option out, or write "
                "--min_rating none"
            )

        # NaN is not larger than any rating: rows without one are left out.
        inter = inter[inter["rating"].to_numpy() >= filters.min_rating]
        steps.append(_step(f"rating of at least {filters.min_rating:g} (--min_rating)", inter))

    # Ratings come first: the first event of a pair is the first with a high rating.
    n_before = len(inter)
    inter = _merge_pairs(inter, keep_count="count" in inter or filters.min_interactions > 1)
    if len(inter) < n_before:
        steps.append(_step("each pair of user and item once: its first event", inter))
    if filters.min_interactions > 1:
        inter = inter[inter["count"].to_numpy() >= filters.min_interactions]
        name = f"pairs with at least {filters.min_interactions} events (--min_interactions)"
        steps.append(_step(name, inter))

    # The last, since every other filter can take interactions from a user or an item.
    if filters.k_core > 1:
        inter, step = to_k_core(inter, filters.k_core)
        steps.append(step)

    return inter, steps


def to_k_core(inter: pd.DataFrame, k: int) -> tuple[pd.DataFrame, Step]:
    """Leave out users and items with fewer than ``k`` interactions until nobody has fewer.

    Raises:
        DataError: Nothing is left.
    """
    kept = inter[in_k_core(_codes(inter, "user_id"), _codes(inter, "item_id"), k)]
    return kept, _step(f"{k}-core: users and items with at least {k} interactions (--k_core)", kept)


def keep_entities(
    inter: pd.DataFrame, users: pd.Index, items: pd.Index, reason: str
) -> tuple[pd.DataFrame, Step]:
    """Leave out interactions of other users or items.

    Args:
        inter: Interactions with categorical ids.
        users: Ids of the users to keep.
        items: Ids of the items to keep.
        reason: Name of the filter, for the report.

    Raises:
        DataError: Nothing is left.
    """
    # Ids are compared by category, then looked up by code: the rows hold no texts.
    known_users = inter["user_id"].cat.categories.isin(users)
    known_items = inter["item_id"].cat.categories.isin(items)
    kept = inter[known_users[_codes(inter, "user_id")] & known_items[_codes(inter, "item_id")]]
    return kept, _step(reason, kept)


def raw_step(inter: pd.DataFrame) -> Step:
    """Make the first line of the report, for a converter without filters of its own.

    Raises:
        DataError: There are no interactions.
    """
    if inter.empty:
        raise DataError("the data set has no interactions")
    return _step("raw data", inter)


def present(inter: pd.DataFrame, name: str) -> pd.Index:
    """Find the ids in use of a categorical column, in the order of the categories."""
    categories = inter[name].cat.categories
    return categories[np.bincount(_codes(inter, name), minlength=len(categories)) > 0]


def in_k_core(users: NDArray[Any], items: NDArray[Any], k: int) -> NDArray[Any]:
    """Find the k-core: the largest part with at least ``k`` interactions of every user and item.

    Args:
        users: int ``[n]``, a code from 0 on for the user of each interaction.
        items: int ``[n]``, likewise for the items.
        k: The least number of interactions.

    Returns:
        bool ``[n]``.
    """
    # Each round counts only what the round before has left.
    keeps_user = _enough(users, k)
    keeps_item = _enough(items, k)
    left_users = users
    left_items = items
    while True:
        keep = keeps_user[left_users] & keeps_item[left_items]
        if keep.all():
            in_core: NDArray[Any] = keeps_user[users] & keeps_item[items]
            return in_core

        left_users = left_users[keep]
        left_items = left_items[keep]
        keeps_user &= _enough(left_users, k, len(keeps_user))
        keeps_item &= _enough(left_items, k, len(keeps_item))


def first_of_each_pair(
    users: NDArray[Any],
    items: NDArray[Any],
    timestamps: NDArray[Any] | None = None,
    counts: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the first event of each pair of a user and an item.

    Args:
        users: int ``[n]``, codes.
        items: int ``[n]``, codes.
        timestamps: float ``[n]``; the first event is the one with the smallest, among equal ones
            and without timestamps the first row. NaN is later than every number.
        counts: int ``[n]``, number of events of a row; None for one.

    Returns:
        The rows of the first events in ascending order, and the number of events of their pairs.
    """
    n = len(users)
    weights = np.ones(n, dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
    if not _has_repeated(users, items):
        return np.arange(n), weights

    # Sort by user, item and row: first by the last key, then stably by the other.
    order = _stable_order(items)
    order = order[_stable_order(users[order])]
    is_new = (np.diff(users[order], prepend=-1) != 0) | (np.diff(items[order], prepend=-1) != 0)
    starts = np.flatnonzero(is_new)
    totals = np.add.reduceat(weights[order], starts)
    if timestamps is None:
        firsts = starts
    else:
        # A missing time is later than every other, so that it never hides one.
        times = np.nan_to_num(timestamps[order], nan=np.inf)

        # Of the events with the earliest time of their pair, the first row.
        group = np.cumsum(is_new) - 1
        earliest = np.flatnonzero(times == np.minimum.reduceat(times, starts)[group])
        firsts = earliest[np.diff(group[earliest], prepend=-1) > 0]

    rows = order[firsts]
    back = np.argsort(rows)
    return rows[back], totals[back]


def _has_repeated(users: NDArray[Any], items: NDArray[Any]) -> bool:
    """Look for a repeated pair. Sorting numbers is much faster than sorting positions."""
    # One number for each pair: user * number of items + item.
    pairs = users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    pairs.sort()
    return bool((pairs[1:] == pairs[:-1]).any())


def _stable_order(codes: NDArray[Any]) -> NDArray[Any]:
    """Compute ``np.argsort(codes, kind="stable")`` by counting."""
    n = len(codes)
    entries = (np.ones(n, dtype=np.int8), codes, np.arange(n + 1))
    matrix = csr_matrix(entries, shape=(n, int(codes.max()) + 1))

    # Transposing a sparse matrix sorts its entries in one pass, in linear time.
    order: NDArray[Any] = matrix.tocsc().indices
    return order


def _merge_pairs(inter: pd.DataFrame, keep_count: bool) -> pd.DataFrame:
    timestamps = inter["timestamp"].to_numpy() if "timestamp" in inter else None
    counts = inter["count"].to_numpy() if "count" in inter else None
    rows, totals = first_of_each_pair(
        _codes(inter, "user_id"), _codes(inter, "item_id"), timestamps, counts
    )
    if len(rows) < len(inter):
        inter = inter.iloc[rows]
    return inter.assign(count=totals) if keep_count else inter


def _enough(codes: NDArray[Any], k: int, size: int = 0) -> NDArray[Any]:
    return np.bincount(codes, minlength=size) >= k


def _codes(inter: pd.DataFrame, name: str) -> NDArray[Any]:
    return inter[name].cat.codes.to_numpy()


def _step(name: str, inter: pd.DataFrame) -> Step:
    if inter.empty:
        raise DataError(f"no interactions are left after this filter: {name}; ask for less")
    return Step(name, len(inter), len(present(inter, "user_id")), len(present(inter, "item_id")))
