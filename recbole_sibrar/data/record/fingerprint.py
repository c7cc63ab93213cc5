"""Fingerprints of columns: equal for equal content, whatever the numbers of the ids.

The fingerprint of a column is a sum of 64-bit hashes, one for each cell and its owner, so that rows
can come in any order (an additive multiset hash; Bellare and Micciancio, EUROCRYPT 1997). It
detects accidents, not attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pandas.util import hash_array

MOST_NUMBERS = 1 << 24
"""Largest count of hashed numbers in a column of vectors; of larger columns, the first numbers of
every vector."""

Hashes: TypeAlias = NDArray[np.uint64]
"""uint64 ``[n]``."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_tokens(tokens: Sequence[str]) -> Hashes:
    """Hash original ids.

    Args:
        tokens: The ids.

    Returns:
        uint64 ``[n]``.
    """
    hashes: Hashes = hash_array(np.array(tokens, dtype=object), categorize=False)
    return hashes


def hash_of_cells(values: NDArray[Any]) -> Hashes:
    """Hash numbers; all NaN have one hash, and so have the two zeros.

    Args:
        values: int, bool or float ``[n]``.

    Returns:
        uint64 ``[n]``.
    """
    numbers = values.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    numbers[np.isnan(numbers)] = np.nan  # NaN has many patterns of bits
    return _mixed(numbers.view(np.uint64))


def hash_of_vectors(rows: Sequence[NDArray[Any]]) -> Hashes:
    """Hash vectors of any lengths.

    Args:
        rows: ``n`` arrays of numbers.

    Returns:
        uint64 ``[n]``.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    longest = int(lengths.max(initial=1))
    width = max(1, min(longest, MOST_NUMBERS // max(len(rows), 1)))

    matrix = np.zeros((len(rows), width), dtype=np.float32)
    have_one_length = set(np.unique(lengths)) <= {0, longest}
    # at once is much faster than row by row, but holds all numbers a second time
    if 0 < lengths.sum() <= 4 * MOST_NUMBERS and have_one_length:
        matrix[lengths > 0] = np.concatenate(rows).reshape(-1, longest)[:, :width]
    else:
        for i, row in enumerate(rows):
            matrix[i, : len(row)] = row[:width]

    # [n, width], and -0.0 becomes 0.0; odd weights lose no bit of a product
    bits = (matrix + np.float32(0)).view(np.uint32).astype(np.uint64)
    weights = _mixed(np.arange(1, width + 1, dtype=np.uint64)) | np.uint64(1)
    sums: Hashes = np.add(bits @ weights, lengths.astype(np.uint64))
    return _mixed(sums)


def combined(owners: Hashes, cells: Hashes) -> Hashes:
    """Hash cells together with their owners.

    Args:
        owners: uint64 ``[n]``, hashes.
        cells: uint64 ``[n]``, hashes.

    Returns:
        uint64 ``[n]``.
    """
    return _mixed(owners + _GOLDEN * _mixed(cells))


def fingerprint(hashes: Hashes) -> int:
    """Fingerprint of cells.

    Args:
        hashes: uint64 ``[n]``.

    Example:
        >>> fingerprint(hash_tokens(["a", "b"])) == fingerprint(hash_tokens(["b", "a"]))
        True
        >>> fingerprint(hash_tokens(["a", "b"])) == fingerprint(hash_tokens(["a", "c"]))
        False
    """
    return int(_mixed(hashes).sum(dtype=np.uint64))


def _mixed(numbers: Hashes) -> Hashes:
    """Spread numbers over all 64 bits."""
    # the last steps of SplitMix64 (Steele et al., OOPSLA 2014), for as many as fit a cache
    mixed = numbers + _GOLDEN
    for part in np.array_split(mixed, (len(mixed) >> 15) + 1):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            part ^= part >> np.uint64(shift)
            part *= np.uint64(factor)
        part ^= part >> np.uint64(31)
    return mixed
