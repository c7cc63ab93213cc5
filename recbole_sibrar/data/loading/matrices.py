"""The values of a column, an array for each entity, as one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix


def bags(rows: list[np.ndarray], size: int) -> csr_matrix:
    """Bags of ids as a sparse matrix ``[n_entities, size]``."""
    lengths = [len(row) for row in rows]
    indices = np.concatenate([*rows, np.array([], dtype=np.int64)]).astype(np.int64)
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((np.ones(len(indices), dtype=np.float32), indices, pointers), shape=(len(rows), size))


def shared_matrix(rows: list[Any], dimension: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The matrix that all vectors are rows of, which may be mapped from a file, and which row is whose.

    Returns:
        float32 ``[n_rows, dimension]`` and int64 ``[n_entities]``, 0 for an empty vector; None where there is no such
        matrix, or most of it is not needed.
    """
    bases = {id(row.base): row.base for row in rows if len(row)}
    base = next(iter(bases.values()), None)
    if len(bases) != 1 or not isinstance(base, np.ndarray) or base.dtype != np.float32 or base.ndim != 2:
        return None
    if base.shape[1] != dimension or not base.flags.c_contiguous or len(base) > 2 * len(rows):
        return None
    start = base.ctypes.data
    positions = [(row.ctypes.data - start) // base.strides[0] if len(row) else 0 for row in rows]
    return base, np.array(positions, dtype=np.int64)


def stacked(rows: list[Any], dimension: int) -> np.ndarray:
    """Vectors as one matrix ``[n_entities, dimension]``, zeros where a row is empty."""
    matrix = np.zeros((len(rows), dimension), dtype=np.float32)
    for i, row in enumerate(rows):
        if len(row):
            matrix[i] = row
    return matrix
