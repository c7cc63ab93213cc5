"""RecBole's scaling of number fields, measured on the data of training and applied to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Buckets:
    """RecBole's discretisation of a number field."""

    bounds: tuple[float, ...]
    """Smallest and largest number (method ED), or the distinct values on the logarithmic scale,
    ascending (LD)."""
    count: int
    """Number of buckets, that of padding included."""


def numbers_of(column: pd.Series[Any]) -> NDArray[np.float64]:
    """List the numbers of a column of numbers or vectors."""
    numbers: NDArray[np.float64]
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.float64)
        return numbers
    numbers = np.concatenate([np.array([]), *column]).astype(np.float64)
    return numbers


def range_of(column: pd.Series[Any]) -> tuple[float, float] | None:
    """Find the smallest and the largest number of a column; None without numbers."""
    numbers = numbers_of(column)
    return (float(numbers.min()), float(numbers.max())) if len(numbers) else None


def scaled(
    column: pd.Series[Any], bounds: tuple[float, float]
) -> list[NDArray[np.floating[Any]]] | NDArray[np.floating[Any]]:
    """Scale a column as RecBole's ``_normalize`` does, but by a given range.

    Args:
        column: Numbers, or vectors.
        bounds: Smallest and largest number in training. Numbers outside are scaled to below 0 or
            above 1.

    Example:
        >>> scaled(pd.Series([10.0, 15.0, 25.0]), (10.0, 20.0)).tolist()
        [0.0, 0.5, 1.5]
    """
    low, high = bounds
    if pd.api.types.is_numeric_dtype(column):
        return _scaled(column.to_numpy(), low, high)
    return [_scaled(row, low, high) for row in column]


def _scaled(numbers: NDArray[Any], low: float, high: float) -> NDArray[np.floating[Any]]:
    if high > low:
        return (numbers - low) / (high - low)
    return np.ones_like(numbers)  # RecBole's value for a field with a single number


def measure_buckets(numbers: NDArray[np.float64], method: str, count: int) -> Buckets:
    """Measure the buckets of RecBole's ``_discretization``.

    Args:
        numbers: float ``[n]``, before they were divided.
        method: ``ED`` (equal distance) or ``LD`` (logarithm).
        count: Number of buckets in RecBole.
    """
    if method == "LD":
        return Buckets(tuple(np.unique(_logarithm(numbers)).tolist()), count)
    return Buckets((float(numbers.min()), float(numbers.max())), count)


def bucketed(
    numbers: NDArray[np.float64], method: str, size: int, buckets: Buckets
) -> NDArray[np.float64]:
    """Find the bucket of each number among those of training, or the nearest one.

    Args:
        numbers: float ``[n]``.
        method: ``ED`` or ``LD``.
        size: Configured number of buckets of equal distance.
        buckets: The buckets of training.

    Returns:
        float ``[n]``.
    """
    bounds = np.array(buckets.bounds)

    if method == "LD":
        # the middle between two values divides the numbers nearer to one or the other
        middles = (bounds[1:] + bounds[:-1]) / 2
        return np.searchsorted(middles, _logarithm(numbers)).astype(np.float64)

    low = bounds[0]
    # as in RecBole: the largest number is in the last bucket
    high = bounds[-1] + 1e-9
    if high == low:
        return np.full(len(numbers), float(size))

    # bucket 0 is padding
    places = np.floor((numbers - low) * size / (high - low) + 1)
    inside: NDArray[np.float64] = places.clip(1, buckets.count - 1)
    return inside


def _logarithm(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply RecBole's logarithmic scale."""
    # A number up to 2 is its own step; larger ones use the squared logarithm. The small ones are
    # set to 0 inside the logarithm, which is undefined below.
    large = numbers > 2
    logarithms = np.log(numbers * large + 1e-9)
    return np.where(large, np.floor(logarithms**2 + 1), numbers)
