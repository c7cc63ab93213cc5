"""Beyond-accuracy measures as pure functions of recommendation lists.

Everywhere ``items`` is int64 ``[n_users, k]``: internal ids, best first, 0 for an empty place. A
value per item is NaN if it is unknown (the popularity of an item without training interactions). A
result is NaN if it is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

__all__ = [
    "calibration_divergence",
    "coverage",
    "exposure",
    "gini",
    "group_disparity",
    "history_mean",
    "intra_list_distance",
    "list_mean",
    "list_sum",
    "list_weights",
    "popularity_lift",
    "value_distribution",
]


def exposure(items: NDArray[Any], n_items: int) -> NDArray[Any]:
    """Count the recommendations of each item.

    Args:
        items: The lists.
        n_items: Number of items, with RecBole's padding item 0.

    Returns:
        int64 ``[n_items]``; 0 for the padding item.

    Example:
        >>> exposure(np.array([[2, 1], [2, 0]]), 4).tolist()
        [0, 1, 2, 0]
    """
    counts = np.bincount(items.ravel(), minlength=n_items)
    # Empty places are no recommendations of the padding item.
    counts[0] = 0
    return counts


def coverage(items: NDArray[Any], candidates: NDArray[Any]) -> float:
    r"""Compute the share of the candidates in the union of all lists.

    .. math:: |\bigcup_u L_u| / |C|

    Args:
        items: The lists.
        candidates: bool ``[n_items]``.

    Returns:
        A share; NaN without candidates.

    Example:
        >>> coverage(np.array([[1, 2], [2, 1]]), np.array([False, True, True, True, True]))
        0.5
    """
    n = int(candidates.sum())
    if not n:
        return np.nan

    counts = exposure(items, len(candidates))[candidates]
    return float((counts > 0).sum() / n)


def gini(items: NDArray[Any], candidates: NDArray[Any]) -> float:
    r"""Compute the Gini coefficient of the exposure of the candidates.

    .. math:: \frac{\sum_j (2j - n - 1) c_j}{n \sum_j c_j}

    with the numbers of recommendations :math:`c_1 \le ... \le c_n` of the n candidates, zeros
    included.

    Args:
        items: The lists.
        candidates: bool ``[n_items]``.

    Returns:
        0 for equal exposure, (n - 1) / n if a single one of n candidates is ever recommended; NaN
        without recommendations.

    Example:
        >>> gini(np.array([[1], [1]]), np.array([False, True, True, True, True]))
        0.75
    """
    counts = np.sort(exposure(items, len(candidates))[candidates])
    n = len(counts)
    total = counts.sum()
    if not total:
        return np.nan

    # Half of the mean absolute difference over the mean: sorted counts give it without all pairs.
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * counts).sum() / (n * total))


def list_mean(items: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Average the known values of the items of each list.

    Args:
        items: The lists.
        values: float ``[n_items]``.

    Returns:
        float ``[n_users]``; NaN without a known value.

    Example:
        >>> list_mean(np.array([[1, 2], [2, 0], [3, 3]]), np.array([9, 1.0, 3.0, np.nan])).tolist()
        [2.0, 3.0, nan]
    """
    # [n_users, k]; np.nanmean would do the same, but warns of each list without a known value.
    known = (items > 0) & ~np.isnan(values[items])
    sums = np.where(known, values[items], 0).sum(1)
    return _divide(sums, known.sum(1))


def list_sum(items: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Add up the known values of the items of each list; see :func:`list_mean`.

    Args:
        items: The lists.
        values: float ``[n_items]``.

    Returns:
        float ``[n_users]``: 0 for an empty list, NaN if none of the values is known.

    Example:
        >>> list_sum(np.array([[1, 2], [0, 0], [3, 3]]), np.array([9, 1.0, 3.0, np.nan])).tolist()
        [4.0, 0.0, nan]
    """
    known = (items > 0) & ~np.isnan(values[items])
    # A list without items has a sum, 0; a list of unknown items has none.
    is_empty = ~(items > 0).any(1)

    sums = np.where(known, values[items], 0).sum(1)
    return np.where(known.any(1) | is_empty, sums, np.nan)


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[Any]:
    """Divide; NaN for a denominator of 0."""
    # With `where` NumPy leaves the other places of `out` as they are, and does not warn.
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def history_mean(history: csr_matrix, values: NDArray[Any]) -> NDArray[Any]:
    """Average the values of the training items of each user.

    Args:
        history: ``[n_users, n_items]``, 1 for each training interaction.
        values: float ``[n_items]``, known for every item with training interactions.

    Returns:
        float ``[n_users]``; NaN for a user without training interactions.

    Example:
        >>> history = csr_matrix(np.array([[0, 1, 1], [0, 0, 0]]))
        >>> history_mean(history, np.array([np.nan, 4.0, 2.0])).tolist()
        [3.0, nan]
    """
    sums = history @ np.nan_to_num(values)
    n_interactions = np.asarray(history.sum(axis=1)).ravel()
    return _divide(sums, n_interactions)


def popularity_lift(recommended: NDArray[Any], profile: NDArray[Any]) -> float:
    """Compute the relative difference of the mean popularity of recommendations and of profiles.

    Args:
        recommended: float ``[n_users]``, mean popularity of each list.
        profile: float ``[n_users]``, mean popularity of each user's training items.

    Returns:
        (mean of ``recommended`` - mean of ``profile``) / mean of ``profile``, over the users with
        both; NaN without such a user.

    Example:
        >>> popularity_lift(np.array([30.0, 10.0, np.nan]), np.array([10.0, 10.0, 5.0]))
        1.0
    """
    # Both means are over the same users; otherwise the lift would compare different groups.
    both = ~np.isnan(recommended) & ~np.isnan(profile)
    if not both.any():
        return np.nan

    before = profile[both].mean()
    after = recommended[both].mean()
    return float((after - before) / before)


def group_disparity(achieved: NDArray[Any], possible: NDArray[Any]) -> float:
    """Compute the coefficient of variation of the success rates of groups.

    Args:
        achieved: ``[n_groups]``, number of successes of each group.
        possible: ``[n_groups]``, number of its chances.

    Returns:
        Standard deviation over mean of the rates: 0 for equal rates; NaN if a group has no chance,
        or no group has a success.

    Example:
        >>> group_disparity(np.array([3, 1]), np.array([4, 4]))
        0.5
    """
    if not np.all(possible > 0) or not achieved.sum():
        return np.nan

    # The deviation of the population: the groups are all there are, and no sample.
    rates = np.asarray(achieved, dtype=float) / possible
    return float(rates.std() / rates.mean())


def intra_list_distance(
    items: NDArray[Any], directions: NDArray[Any] | csr_matrix, available: NDArray[Any]
) -> NDArray[Any]:
    """Average the cosine distances between the items of each list.

    Args:
        items: The lists.
        directions: float ``[n_items, size]``, features of unit length.
        available: bool ``[n_items]``: items with features; the others are left out.

    Returns:
        float ``[n_users]``; NaN for a list with fewer than two items with features.

    Example:
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> available = np.array([False, True, True])
        >>> intra_list_distance(np.array([[1, 2], [2, 0]]), x, available).tolist()
        [1.0, nan]
    """
    usable = np.where(available[items], items, 0)
    weights = list_weights(usable, len(available))
    counts = np.asarray(weights.sum(axis=1)).ravel()

    # The squared length of a list's sum holds the cosine of each pair twice, and that of each item
    # with itself, 1, once. So no matrix of all pairs is needed.
    total = weights @ directions  # [n_users, size]
    squared = total.multiply(total) if issparse(total) else np.square(total)
    cosines = np.asarray(squared.sum(axis=1)).ravel() - counts

    distances = 1 - _divide(cosines, counts * (counts - 1))
    return np.maximum(distances, 0)  # rounding may leave -1e-8


def calibration_divergence(
    profile: NDArray[Any], recommended: NDArray[Any], alpha: float
) -> NDArray[Any]:
    r"""Compute the Kullback-Leibler divergence of each list from the profile, in nats.

    .. math:: \sum_g p_g \ln \frac{p_g}{(1 - \alpha) q_g + \alpha p_g}

    with the profile's distribution p and the list's q (Steck, RecSys 2018).

    Args:
        profile: float ``[n, n_values]``, a distribution a row; a row of zeros for a missing one.
        recommended: float ``[n, n_values]``, likewise.
        alpha: Share of the profile mixed into the list's distribution, so that the divergence is
            finite.

    Returns:
        float ``[n]``; NaN if either distribution is missing.

    Example:
        >>> calibration_divergence(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), 0.01).tolist()
        [0.0]
    """
    # Terms with p = 0 are 0, as p ln p tends to 0: their ratio is set to 1.
    mixed = (1 - alpha) * recommended + alpha * profile
    ratio = np.divide(profile, mixed, out=np.ones_like(profile), where=profile > 0)
    divergence = (profile * np.log(ratio)).sum(1)

    is_defined = (profile.sum(1) > 0) & (recommended.sum(1) > 0)
    return np.where(is_defined, divergence, np.nan)


def value_distribution(weights: csr_matrix, values: csr_matrix) -> NDArray[Any]:
    """Compute the distribution of a categorical field over weighted items.

    An item splits its weight over its values.

    Args:
        weights: ``[n, n_items]``, weight of each item in each row.
        values: ``[n_items, n_values]``, 1 for each value of an item.

    Returns:
        float ``[n, n_values]``; zeros for a row without any value.

    Example:
        >>> values = csr_matrix(np.array([[0, 0], [1, 1], [0, 1]]))
        >>> value_distribution(csr_matrix(np.array([[0, 1, 1], [1, 0, 0]])), values).tolist()
        [[0.25, 0.75], [0.0, 0.0]]
    """
    per_item = np.asarray(values.sum(axis=1)).ravel()
    share = np.divide(1.0, per_item, out=np.zeros(len(per_item)), where=per_item > 0)
    shares = values.multiply(share[:, None])

    # SciPy's `multiply` by a dense column gives the COO form; products are made in CSR.
    total = np.asarray((weights @ shares.tocsr()).todense())
    sums = total.sum(1, keepdims=True)
    return np.divide(total, sums, out=np.zeros_like(total), where=sums > 0)


def list_weights(items: NDArray[Any], n_items: int) -> csr_matrix:
    """Turn lists into a sparse matrix of users and items.

    Args:
        items: The lists.
        n_items: Number of items, with RecBole's padding item 0.

    Returns:
        float ``[n_users, n_items]``, 1 for each item of a list.

    Example:
        >>> list_weights(np.array([[2, 1], [2, 0]]), 3).toarray().tolist()
        [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """
    # np.nonzero leaves out the empty places, which are 0.
    rows, columns = np.nonzero(items)
    chosen = items[rows, columns]

    ones = np.ones(len(rows))
    return csr_matrix((ones, (rows, chosen)), shape=(len(items), n_items))
