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
    read = reader_of(path, name)
    file = EntityFile(path.name, is_table=False, read_ids=partial(_ids, path, read))

    # The vectors are read after all filters: those of dropped entities need no memory.
    gather = partial(_gather, name, path, read, notes, file)
    return RawField(name, "float_seq", gather, str(path), notes, file)


def _ids(path: Path, read: Read) -> pd.Index:
    """Read all ids of a file."""
    ids: list[str] = []
    for keys, _ in read(path):
        ids += [key for key in keys if key]
    return pd.Index(ids, dtype=object)


def _gather(
    name: str, path: Path, read: Read, notes: list[str], file: EntityFile, ids: pd.Index
) -> NDArray[Any]:
    """Read the vectors of some entities: float32 ``[n, size]``, NaN for missing ones."""
    gathering = _Gathering(path, ids)
    for keys, block in read(path):
        # A block may have missing vectors only.
        if len(keys):
            file.add(keys)
            gathering.add(keys, block)
    file.close()

    if not gathering.seen.any():
        raise DataError(
            f"{path}: none of its ids, such as '{gathering.example}', is one of the data set, "
            f"such as '{ids[0]}'; the feature '{name}' needs the original ids of the data set"
        )
    notes.extend(gathering.notes(name))
    return gathering.matrix


class _Gathering:
    """Vectors of the wanted entities, gathered block by block.

    Args:
        path: The file, for messages.
        ids: The entities.
    """

    def __init__(self, path: Path, ids: pd.Index) -> None:
        self.matrix: NDArray[Any] = np.empty((0, 0), dtype=np.float32)
        self.seen = np.zeros(len(ids), dtype=bool)
        self.example = ""
        self._path = path
        self._ids = ids
        self._n_foreign = 0
        self._n_missing = 0

    def add(self, keys: NDArray[Any], block: NDArray[Any]) -> None:
        """Take the vectors of a block.

        Args:
            keys: Ids, object ``[m]`` of str.
            block: Vectors, ``[m, size]``.

        Raises:
            DataError: An id occurs twice, or a vector has another length or wrong numbers.
        """
        self._check_size(keys, block)
        rows = self._ids.get_indexer(pd.Index(keys, dtype=object))
        known = rows >= 0
        self._n_foreign += int((~known).sum())
        self.example = self.example or str(keys[0])

        # Twice in this block, or in one before.
        found = rows[known]
        twice = self.seen[found] | pd.Index(found).duplicated()
        if twice.any():
            first = keys[known][twice][0]
            raise DataError(
                f"{self._path}: the id '{first}' occurs twice, allowed is one vector for each id"
            )

        self.seen[found] = True
        self._n_missing += _check_finite(self._path, keys[known], block[known])
        self.matrix[found] = block[known]

    def _check_size(self, keys: NDArray[Any], block: NDArray[Any]) -> None:
        """Make the matrix for the first block, and refuse other lengths afterwards."""
        size = block.shape[1]
        if not self.matrix.size:
            if not size:
                raise DataError(f"{self._path}: found vectors without numbers")
            self.matrix = np.full((len(self._ids), size), np.nan, dtype=np.float32)

        if size != self.matrix.shape[1]:
            raise DataError(
                f"{self._path}: the vector of '{keys[0]}' has {size} numbers, those before it "
                f"{self.matrix.shape[1]}"
            )

    def notes(self, name: str) -> list[str]:
        """Write sentences on vectors without an entity, and on those of NaN.

        Args:
            name: Name of the field.
        """
        notes = []
        file = self._path.name
        if self._n_foreign:
            notes.append(
                f"{name}: {self._n_foreign:,} vectors of {file} belong to ids that no interaction "
                "has; left out."
            )
        if self._n_missing:
            notes.append(
                f"{name}: {self._n_missing:,} vectors of {file} are NaN as a whole; they are "
                "missing values."
            )
        return notes


def _check_finite(path: Path, keys: NDArray[Any], block: NDArray[Any]) -> int:
    """Refuse vectors with infinite numbers or some NaN, and count those of NaN as a whole."""
    # Numbers beyond float32 become infinite, and are refused below.
    with np.errstate(over="ignore"):
        vectors = block.astype(np.float32)

    missing = np.isnan(vectors).all(axis=1)
    broken = ~np.isfinite(vectors).all(axis=1) & ~missing
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        found = block[row][~np.isfinite(vectors[row])][0]
        raise DataError(
            f"{path}: the vector of '{keys[row]}' has the number {found}, allowed are finite "
            "float32 numbers; leave the id out for a missing value"
        )

    return int(missing.sum())
