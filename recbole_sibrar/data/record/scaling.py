"""RecBole's scaling of number fields, measured on the data of training and applied to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Buckets:
    """How RecBole has discretised a number field."""

    bounds: tuple[float, ...]
    """Smallest and largest number (method ED), or the distinct values on the logarithmic scale, ascending (LD)."""
    count: int
    """Number of buckets, that of padding included."""


def numbers_of(column: pd.Series) -> np.ndarray:
    """The numbers of a column of numbers, or of vectors one after the other."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64)
    return np.concatenate([np.array([]), *column]).astype(np.float64)


def range_of(column: pd.Series) -> tuple[float, float] | None:
    """The smallest and the largest number of a column; None where there is none."""
    numbers = numbers_of(column)
    return (float(numbers.min()), float(numbers.max())) if len(numbers) else None


def scaled(column: pd.Series, bounds: tuple[float, float]) -> list[Any] | np.ndarray:
    """Scale a column as RecBole's ``_normalize`` does, but by a range that was measured elsewhere.

    Args:
        column: Numbers, or vectors.
        bounds: Its smallest and its largest number in training. What lies outside is scaled to below 0 or above 1.

    Example:
        >>> scaled(pd.Series([10.0, 15.0, 25.0]), (10.0, 20.0)).tolist()
        [0.0, 0.5, 1.5]
    """
    low, high = bounds
    if pd.api.types.is_numeric_dtype(column):
        return _scaled(column.to_numpy(), low, high)
    return [_scaled(row, low, high) for row in column]


def _scaled(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    return (numbers - low) / (high - low) if high > low else np.ones_like(numbers)


def measure_buckets(numbers: np.ndarray, method: str, count: int) -> Buckets:
    """Note how RecBole's ``_discretization`` divides numbers.

    Args:
        numbers: float ``[n]``, as they were before.
        method: ``ED`` (equal distance) or ``LD`` (logarithm).
        count: The number of buckets that RecBole has found.
    """
    if method == "LD":
        return Buckets(tuple(np.unique(_logarithm(numbers)).tolist()), count)
    return Buckets((float(numbers.min()), float(numbers.max())), count)


def bucketed(numbers: np.ndarray, method: str, size: int, buckets: Buckets) -> np.ndarray:
    """The bucket of each number, of those that training knew: what lies outside of them is in the nearest one.

    Args:
        numbers: float ``[n]``.
        method: ``ED`` or ``LD``.
        size: Number of buckets of equal distance that the configuration asks for.
        buckets: Those of training.

    Returns:
        float ``[n]``.
    """
    bounds = np.array(buckets.bounds)
    if method == "LD":
        nearest = np.searchsorted((bounds[1:] + bounds[:-1]) / 2, _logarithm(numbers))
        return nearest.astype(np.float64)
    low, high = bounds[0], bounds[-1] + 1e-9
    if high == low:
        return np.full(len(numbers), float(size))
    return np.floor((numbers - low) * size / (high - low) + 1).clip(1, buckets.count - 1)


def _logarithm(numbers: np.ndarray) -> np.ndarray:
    """RecBole's logarithmic scale: a number up to 2 is its own step, from there the squared logarithm counts."""
    large = numbers > 2
    return np.where(large, np.floor(np.log(numbers * large + 1e-9) ** 2 + 1), numbers)
