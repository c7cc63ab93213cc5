"""Beyond-accuracy measures as pure functions of recommendation lists.

Everywhere ``items`` is int64 ``[n_users, k]``: internal ids, best first, 0 where no candidate was left. A value per
item is NaN where it is unknown (the popularity of an item without training interactions) and a result is NaN
where it is undefined.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, issparse


def exposure(items: np.ndarray, n_items: int) -> np.ndarray:
    """int64 ``[n_items]``: how often each item is recommended.

    Example:
        >>> exposure(np.array([[2, 1], [2, 0]]), 4).tolist()
        [0, 1, 2, 0]
    """
    counts = np.bincount(items.ravel(), minlength=n_items)
    counts[0] = 0
    return counts


def coverage(items: np.ndarray, candidates: np.ndarray) -> float:
    """Share of the candidates that are recommended to anyone.

    Args:
        items: The lists.
        candidates: bool ``[n_items]``.

    Example:
        >>> coverage(np.array([[1, 2], [2, 1]]), np.array([False, True, True, True, True]))
        0.5
    """
    n = int(candidates.sum())
    return float((exposure(items, len(candidates))[candidates] > 0).sum() / n) if n else np.nan


def gini(items: np.ndarray, candidates: np.ndarray) -> float:
    """Gini coefficient of the exposure of the candidates, those never recommended included.

    Args:
        items: The lists.
        candidates: bool ``[n_items]``.

    Returns:
        0 where all are recommended equally often, (n - 1) / n where a single one of n ever is.

    Example:
        >>> gini(np.array([[1], [1]]), np.array([False, True, True, True, True]))
        0.75
    """
    counts = np.sort(exposure(items, len(candidates))[candidates])
    n, total = len(counts), counts.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * total)) if total else np.nan


def list_mean(items: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean value of the items of each list, over those whose value is known.

    Args:
        items: The lists.
        values: float ``[n_items]``.

    Returns:
        float ``[n_users]``.

    Example:
        >>> list_mean(np.array([[1, 2], [2, 0], [3, 3]]), np.array([9, 1.0, 3.0, np.nan])).tolist()
        [2.0, 3.0, nan]
    """
    known = (items > 0) & ~np.isnan(values[items])
    return _divide(np.where(known, values[items], 0).sum(1), known.sum(1))


def list_sum(items: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the known values of the items of each list; see :func:`list_mean`.

    Returns:
        float ``[n_users]``: 0 for an empty list, NaN for one of whose items no value is known.

    Example:
        >>> list_sum(np.array([[1, 2], [0, 0], [3, 3]]), np.array([9, 1.0, 3.0, np.nan])).tolist()
        [4.0, 0.0, nan]
    """
    known = (items > 0) & ~np.isnan(values[items])
    return np.where(known.any(1) | ~(items > 0).any(1), np.where(known, values[items], 0).sum(1), np.nan)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where the denominator is 0."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def history_mean(history: csr_matrix, values: np.ndarray) -> np.ndarray:
    """Mean value of the training items of each user.

    Args:
        history: ``[n_users, n_items]``, 1 for each training interaction.
        values: float ``[n_items]``, known for every item with training interactions.

    Returns:
        float ``[n_users]``, NaN for a user without training interactions.
    """
    return _divide(history @ np.nan_to_num(values), np.asarray(history.sum(axis=1)).ravel())


def popularity_lift(recommended: np.ndarray, profile: np.ndarray) -> float:
    """Relative difference of the mean popularity of recommendations and of profiles.

    Args:
        recommended: float ``[n_users]``, mean popularity of each list.
        profile: float ``[n_users]``, mean popularity of each user's training items.

    Returns:
        (mean of ``recommended`` - mean of ``profile``) / mean of ``profile``, over the users who have both.

    Example:
        >>> popularity_lift(np.array([30.0, 10.0, np.nan]), np.array([10.0, 10.0, 5.0]))
        1.0
    """
    both = ~np.isnan(recommended) & ~np.isnan(profile)
    if not both.any():
        return np.nan
    before = profile[both].mean()
    return float((recommended[both].mean() - before) / before)


def group_disparity(achieved: np.ndarray, possible: np.ndarray) -> float:
    """Standard deviation over mean of the rates at which groups of items get something.

    Args:
        achieved: ``[n_groups]``, how often each group gets it.
        possible: ``[n_groups]``, how often it could have.

    Returns:
        0 where all groups get it at the same rate; NaN where a group never could, or none ever does.

    Example:
        >>> group_disparity(np.array([3, 1]), np.array([4, 4]))
        0.5
    """
    if not np.all(possible > 0) or not achieved.sum():
        return np.nan
    rates = np.asarray(achieved, dtype=float) / possible
    return float(rates.std() / rates.mean())


def intra_list_distance(items: np.ndarray, directions: np.ndarray | csr_matrix, available: np.ndarray) -> np.ndarray:
    """Mean cosine distance between the items of each list.

    Args:
        items: The lists.
        directions: float ``[n_items, size]``, features of unit length.
        available: bool ``[n_items]``: items with features; the others are left out.

    Returns:
        float ``[n_users]``, NaN for a list with fewer than two items that have features.

    Example:
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> intra_list_distance(np.array([[1, 2], [2, 0]]), x, np.array([False, True, True])).tolist()
        [1.0, nan]
    """
    weights = list_weights(np.where(available[items], items, 0), len(available))
    counts = np.asarray(weights.sum(axis=1)).ravel()
    total = weights @ directions  # its squared length holds each pair's cosine twice and each item's own, 1, once
    squared = total.multiply(total) if issparse(total) else np.square(total)
    cosines = np.asarray(squared.sum(axis=1)).ravel() - counts
    return np.maximum(1 - _divide(cosines, counts * (counts - 1)), 0)  # rounding may leave -1e-8


def calibration_divergence(profile: np.ndarray, recommended: np.ndarray, alpha: float) -> np.ndarray:
    """Kullback-Leibler divergence of each list's distribution from the profile's, in nats.

    Args:
        profile: float ``[n, n_values]``, a distribution a row, or zeros where there is none.
        recommended: float ``[n, n_values]``, likewise.
        alpha: Share of the profile that is mixed into the list's distribution, so that the divergence is finite.

    Returns:
        float ``[n]``, NaN where either distribution is missing.

    Example:
        >>> calibration_divergence(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), 0.01).tolist()
        [0.0]
    """
    mixed = (1 - alpha) * recommended + alpha * profile
    ratio = np.divide(profile, mixed, out=np.ones_like(profile), where=profile > 0)
    result = (profile * np.log(ratio)).sum(1)
    return np.where((profile.sum(1) > 0) & (recommended.sum(1) > 0), result, np.nan)


def value_distribution(weights: csr_matrix, values: csr_matrix) -> np.ndarray:
    """Distribution of a categorical field over weighted items; an item with several values counts for each in part.

    Args:
        weights: ``[n, n_items]``, weight of each item in each row.
        values: ``[n_items, n_values]``, 1 where the item has the value.

    Returns:
        float ``[n, n_values]``; a row without any valued item is zero.
    """
    per_item = np.asarray(values.sum(axis=1)).ravel()
    shares = values.multiply(np.divide(1.0, per_item, out=np.zeros(len(per_item)), where=per_item > 0)[:, None])
    total = np.asarray((weights @ shares.tocsr()).todense())
    sums = total.sum(1, keepdims=True)
    return np.divide(total, sums, out=np.zeros_like(total), where=sums > 0)


def list_weights(items: np.ndarray, n_items: int) -> csr_matrix:
    """``[n_users, n_items]``, 1 where the item is in the list."""
    rows, columns = np.nonzero(items)
    return csr_matrix((np.ones(len(rows)), (rows, items[rows, columns])), shape=(len(items), n_items))
