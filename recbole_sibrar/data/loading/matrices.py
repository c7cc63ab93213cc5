"""Matrices of columns with an array for each entity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


def bags(rows: list[NDArray[np.int64]], size: int) -> csr_matrix:
    """Convert bags of ids to a sparse matrix ``[n_entities, size]``."""
    lengths = [len(row) for row in rows]
    # an empty array more, as NumPy cannot concatenate none
    indices = np.concatenate([*rows, np.array([], dtype=np.int64)]).astype(np.int64)
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    ones = np.ones(len(indices), dtype=np.float32)
    return csr_matrix((ones, indices, pointers), shape=(len(rows), size))


def shared_matrix(
    rows: list[NDArray[np.float32]], dimension: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Find the matrix behind the vectors, which may be mapped from a file.

    Args:
        rows: Vectors, views of the matrix's rows.
        dimension: Length of the vectors.

    Returns:
        The matrix, float32 ``[n_rows, dimension]``, and the row of each vector, int64
        ``[n_entities]``, 0 for an empty one. None if there is no such matrix, or if most of it is
        not needed.
    """
    # by id, as arrays cannot be hashed
    bases = {id(row.base): row.base for row in rows if len(row)}
    if len(bases) != 1:
        return None

    base = next(iter(bases.values()))
    if not isinstance(base, np.ndarray) or base.dtype != np.float32 or base.ndim != 2:
        return None
    if base.shape[1] != dimension or not base.flags.c_contiguous:
        return None

    # a copy of the needed rows takes less memory than the whole matrix
    if len(base) > 2 * len(rows):
        return None

    positions = np.zeros(len(rows), dtype=np.int64)
    start = base.ctypes.data
    for i, row in enumerate(rows):
        if len(row):
            # a view tells its row by the distance of the addresses alone, in bytes
            positions[i] = (row.ctypes.data - start) // base.strides[0]
    return base, positions


def stacked(rows: list[NDArray[np.float32]], dimension: int) -> NDArray[np.float32]:
    """Stack vectors to a matrix ``[n_entities, dimension]``, zeros where a vector is empty."""
    matrix = np.zeros((len(rows), dimension), dtype=np.float32)
    for i, row in enumerate(rows):
        if len(row):
            matrix[i] = row
    return matrix
