"""Fingerprints of columns: equal for equal content, whatever the order of the rows and the numbers of the ids.

The fingerprint of a column is the sum of a 64-bit hash of each cell and of whose cell it is, so that rows can come in
any order (an additive multiset hash; Bellare and Micciancio, EUROCRYPT 1997). It tells accidents apart, not attacks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pandas.util import hash_array

MOST_NUMBERS = 1 << 24
"""Numbers of a column of vectors that are hashed; of larger ones the first numbers of every vector."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_tokens(tokens: Sequence[str]) -> np.ndarray:
    """Hash original ids.

    Args:
        tokens: The ids.

    Returns:
        uint64 ``[n]``.
    """
    return hash_array(np.array(tokens, dtype=object), categorize=False)


def hash_of_cells(values: np.ndarray) -> np.ndarray:
    """Hash numbers; all missing ones are alike, and so are the two zeros.

    Args:
        values: int, bool or float ``[n]``.

    Returns:
        uint64 ``[n]``.
    """
    numbers = values.astype(np.float64) + 0.0
    numbers[np.isnan(numbers)] = np.nan
    return _mixed(numbers.view(np.uint64))


def hash_of_vectors(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Hash vectors, which can have different lengths.

    Args:
        rows: ``n`` arrays of numbers.

    Returns:
        uint64 ``[n]``.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    longest = int(lengths.max(initial=1))
    width = max(1, min(longest, MOST_NUMBERS // max(len(rows), 1)))
    matrix = np.zeros((len(rows), width), dtype=np.float32)
    if 0 < lengths.sum() <= 4 * MOST_NUMBERS and set(np.unique(lengths)) <= {0, longest}:  # much faster than rows
        matrix[lengths > 0] = np.concatenate(rows).reshape(-1, longest)[:, :width]
    else:
        for i, row in enumerate(rows):
            matrix[i, : len(row)] = row[:width]
    bits = (matrix + np.float32(0)).view(np.uint32).astype(np.uint64)
    weights = _mixed(np.arange(1, width + 1, dtype=np.uint64)) | np.uint64(1)
    return _mixed(bits @ weights + lengths.astype(np.uint64))


def combined(owners: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Hash cells together with whose they are.

    Args:
        owners: uint64 ``[n]``, hashes.
        cells: uint64 ``[n]``, hashes.

    Returns:
        uint64 ``[n]``.
    """
    return _mixed(owners + _GOLDEN * _mixed(cells))


def fingerprint(hashes: np.ndarray) -> int:
    """The fingerprint of cells.

    Args:
        hashes: uint64 ``[n]``.

    Example:
        >>> fingerprint(hash_tokens(["a", "b"])) == fingerprint(hash_tokens(["b", "a"]))
        True
        >>> fingerprint(hash_tokens(["a", "b"])) == fingerprint(hash_tokens(["a", "c"]))
        False
    """
    return int(_mixed(hashes).sum(dtype=np.uint64))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Spread numbers over all 64 bits (the last steps of SplitMix64; Steele et al., OOPSLA 2014)."""
    mixed = numbers + _GOLDEN
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed
