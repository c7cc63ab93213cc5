"""Files of vectors by id, read in blocks: ``.npz``, ``.npy``, ``.parquet`` and text."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from recbole_sibrar.errors import DataError

from .endings import ending_of
from .vector_text import Blocks, read_text_vectors, stack, to_matrix

ID_LISTS = ("{}.ids.txt", "{}.ids.npy", "{}_ids.txt", "{}_ids.npy")
"""Names of the list of ids beside ``{}.npy``: one id a line, or an array."""

# 80 MB of the widest vectors, of 10,000 float64.
_ROWS = 2**10

Read = Callable[[Path], Blocks]
"""A reader of a file."""


def reader_of(path: Path, name: str = "") -> Read:
    """Choose the reader of a file.

    Args:
        path: ``.npz`` with an array of ids and a matrix, or several of which one has the name of
            the field; ``.npy`` with a list of ids beside it; ``.parquet`` with the ids in the first
            column and a column of lists or columns of numbers; ``.tsv``, ``.txt`` or ``.csv``,
            packed or not, with the ids in the first column and the numbers in the others, or in
            one, separated by spaces.
        name: Name of the field.

    Returns:
        A function from the path to blocks.

    Raises:
        DataError: The ending is unknown.
    """
    readers: dict[str, Read] = {
        ".npz": partial(_npz, name=name),
        ".npy": _npy,
        ".parquet": _parquet,
    }
    readers |= dict.fromkeys((".tsv", ".csv", ".txt"), read_text_vectors)
    ending = ending_of(path)
    if ending not in readers:
        raise DataError(f"{path}: found the ending '{ending}', allowed are {', '.join(readers)}")
    return readers[ending]


def _npz(path: Path, name: str) -> Blocks:
    try:
        # A pickle could run code of the file.
        archive = np.load(path, allow_pickle=False)

        # np.load goes by the content: a .npy file named .npz is an array.
        if isinstance(archive, np.ndarray):
            raise DataError(
                f"{path}: found a single array, allowed are two, of ids and of vectors, as "
                "np.savez writes"
            )
        with archive:
            arrays = dict(archive)
    except DataError:
        raise
    except (OSError, ValueError, BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None

    lists = []
    matrices = {}
    for key, array in arrays.items():
        if array.ndim == 1:
            lists.append(array)
        elif array.ndim == 2:
            matrices[key] = array

    # Several modalities may share a file.
    if len(matrices) > 1 and name in matrices:
        matrices = {name: matrices[name]}
    if len(lists) != 1 or len(matrices) != 1:
        found = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items())
        raise DataError(
            f"{path}: found the arrays {found}, allowed are one of ids [n] and one of vectors "
            "[n, size], or several of which one has the name of the field"
        )

    yield from _aligned(path, _keys(path, lists[0]), *matrices.values())


def _npy(path: Path) -> Blocks:
    # Mapped: the matrix may be larger than memory, and is read block by block.
    matrix = _load(path, mmap_mode="r")
    keys = _listed_keys(_id_list(path))
    if matrix.ndim != 2:
        raise DataError(
            f"{path}: found an array of shape {list(matrix.shape)}, allowed is [n, size]"
        )

    yield from _aligned(path, keys, matrix)


def _id_list(path: Path) -> Path:
    """Find the list of ids beside a matrix."""
    for form in ID_LISTS:
        file = path.with_name(form.format(path.stem))
        if file.is_file():
            return file

    allowed = " or ".join(ID_LISTS).replace("{}", path.stem)
    raise DataError(f"{path}: its ids are missing, allowed are {allowed} beside it")


def _listed_keys(path: Path) -> NDArray[Any]:
    """Read a list of ids: object ``[n]`` of str."""
    if path.suffix == ".npy":
        return _keys(path, _load(path))

    try:
        return np.array(path.read_text(encoding="utf-8").splitlines(), dtype=object)
    except UnicodeDecodeError:
        raise DataError(f"{path}: the text is not UTF-8") from None


def _load(path: Path, mmap_mode: Literal["r"] | None = None) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    return array


def _aligned(path: Path, keys: NDArray[Any], matrix: NDArray[Any]) -> Blocks:
    if len(keys) != len(matrix) or not len(keys):
        raise DataError(
            f"{path}: found {len(keys)} ids and {len(matrix)} vectors, allowed are as many, and "
            "one at least"
        )
    if matrix.dtype.kind not in "fiu":
        raise DataError(f"{path}: found vectors of type {matrix.dtype}, allowed are numbers")

    # Blocks of a mapped matrix are read from the disk one by one.
    for start in range(0, len(keys), _ROWS):
        yield keys[start : start + _ROWS], np.asarray(matrix[start : start + _ROWS])


def _keys(path: Path, ids: NDArray[Any]) -> NDArray[Any]:
    """Write ids as texts, whole numbers without a decimal point."""
    # Ids from a column of pandas with missing cells are floats.
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all():
        ids = ids.astype(np.int64)

    # Texts of fixed-width bytes have no encoding of their own.
    if ids.dtype.kind == "S":
        try:
            ids = np.char.decode(ids, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{path}: found ids that are not UTF-8") from None
    if ids.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: found ids of type {ids.dtype}, allowed are texts and whole numbers"
        )
    return ids.astype(str).astype(object)


def _parquet(path: Path) -> Blocks:
    try:
        # Batches, since a file of vectors can be larger than memory.
        for batch in parquet.ParquetFile(path).iter_batches(_ROWS):
            ids, *columns = batch.columns
            keys = np.array(ids.cast(pa.string()).to_pylist(), dtype=object)
            if len(columns) == 1 and pa.types.is_nested(columns[0].type):
                yield to_matrix(path, keys, columns[0])
            else:
                yield keys, stack(columns, len(keys))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
