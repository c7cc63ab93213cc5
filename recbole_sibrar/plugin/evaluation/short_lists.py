"""RecBole's metrics of the recommended items for lists with empty places.

With fewer candidates than ``topk``, RecBole fills the list with items outside the candidates. Here
such a place holds the padding item 0, and counts as empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


def measure_filled(
    original: Callable[..., float],
    metric: object,
    items: NDArray[Any],
    *more: object,
) -> float:
    """Measure the recommended items of all lists, int ``[n_users, k]``, as one list."""
    return original(metric, items[items > 0][None], *more)


def item_values(
    original: Callable[..., Values],
    metric: object,
    items: NDArray[Any],
    *more: object,
) -> Values:
    """Value of each recommended item, ``[n_users, k]``, NaN for an empty place."""
    values = original(metric, items, *more)
    if (items > 0).all():
        return values

    filled: Values = np.where(items > 0, values, np.nan)
    return filled


def running_mean(original: Callable[..., Values], metric: object, values: Values) -> Values:
    """Mean of the first 1, 2, ... k values of each list, ``[n_users, k]``, over filled places."""
    # RecBole's own digits for full lists
    if not np.isnan(values).any():
        return original(metric, values)

    n_filled = np.cumsum(~np.isnan(values), axis=1)
    sums: Values = np.nancumsum(values, axis=1)
    means: Values = sums / np.maximum(n_filled, 1)
    return means
