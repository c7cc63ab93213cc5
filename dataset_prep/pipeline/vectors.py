"""Modalities computed elsewhere: vectors by id, from files named by the user."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ..readers.entity_file import EntityFile
from ..readers.vector_files import Read, reader_of
from .raw import RawField


def vector_field(name: str, path: Path) -> RawField:
    """Make a ``float_seq`` field of the vectors in a file.

    Args:
        name: Name of the field.
        path: The file, of a kind for :func:`reader_of`.

    Raises:
        DataError: There is no such file, or its ending is unknown.
    """
    if not path.is_file():
        raise DataError(f"the feature '{name}': there is no file {path}")
    notes: list[str] = []
    read = reader_of(path)
    file = EntityFile(path.name, is_table=False, read_ids=partial(_ids, path, read))
    return RawField(name, "float_seq", partial(_gather, name, path, read, notes, file), str(path), notes, file)


def _ids(path: Path, read: Read) -> pd.Index:
    """Read all ids of a file."""
    ids: list[str] = []
    for keys, _ in read(path):
        ids += [key for key in keys if key]
    return pd.Index(ids, dtype=object)


def _gather(name: str, path: Path, read: Read, notes: list[str], file: EntityFile, ids: pd.Index) -> NDArray[Any]:
    """Read the vectors of some entities: float32 ``[n, size]``, NaN for missing ones."""
    matrix = np.empty((0, 0), dtype=np.float32)
    seen = np.zeros(len(ids), dtype=bool)
    n_foreign, n_missing, example = 0, 0, ""

    for keys, block in read(path):
        if not len(keys):
            continue
        file.add(keys)
        if not matrix.size:
            if not block.shape[1]:
                raise DataError(f"{path}: found vectors without numbers")
            matrix = np.full((len(ids), block.shape[1]), np.nan, dtype=np.float32)
        if block.shape[1] != matrix.shape[1]:
            raise DataError(
                f"{path}: the vector of '{keys[0]}' has {block.shape[1]} numbers, those before it {matrix.shape[1]}"
            )
        rows = ids.get_indexer(pd.Index(keys, dtype=object))
        known = rows >= 0
        n_foreign += int((~known).sum())
        example = example or str(keys[0])
        twice = seen[rows[known]] | pd.Index(rows[known]).duplicated()
        if twice.any():
            raise DataError(f"{path}: the id '{keys[known][twice][0]}' occurs twice, allowed is one vector for each id")
        seen[rows[known]] = True
        n_missing += _check_finite(path, keys[known], block[known])
        matrix[rows[known]] = block[known]

    file.close()
    if not seen.any():
        raise DataError(
            f"{path}: none of its ids, such as '{example}', is one of the data set, such as '{ids[0]}'; "
            f"the feature '{name}' needs the original ids of the data set"
        )

    if n_foreign:
        notes.append(f"{name}: {n_foreign:,} vectors of {path.name} belong to ids that no interaction has; left out.")
    if n_missing:
        notes.append(f"{name}: {n_missing:,} vectors of {path.name} are NaN as a whole; they are missing values.")

    return matrix


def _check_finite(path: Path, keys: NDArray[Any], block: NDArray[Any]) -> int:
    """Refuse vectors with infinite numbers or some NaN, and count those of NaN as a whole."""
    with np.errstate(over="ignore"):
        vectors = block.astype(np.float32)

    missing = np.isnan(vectors).all(axis=1)
    broken = ~np.isfinite(vectors).all(axis=1) & ~missing
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        found = block[row][~np.isfinite(vectors[row])][0]
        raise DataError(
            f"{path}: the vector of '{keys[row]}' has the number {found}, allowed are finite float32 numbers; "
            "leave the id out for a missing value"
        )

    return int(missing.sum())
