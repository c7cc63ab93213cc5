"""Files of vectors by id, read in blocks: ``.npz``, ``.npy``, ``.parquet`` and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from recbole_sibrar.data.atomic import DataError

from .raw_tables import SEPARATORS, ending_of

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]
"""Blocks of a file: ids, object ``[m]`` of str, and their vectors, ``[m, size]``."""

ID_LISTS = ("{}.ids.txt", "{}.ids.npy", "{}_ids.txt", "{}_ids.npy")
"""Names of the list of ids beside ``{}.npy``: one id a line, or an array."""

_ROWS = 2**13

Read = Callable[[Path], Blocks]
"""A reader of a file."""


def reader_of(path: Path) -> Read:
    """How to read a file.

    Args:
        path: ``.npz`` with an array of ids and a matrix; ``.npy`` with a list of ids beside it; ``.parquet`` with the
            ids in the first column and a column of lists or columns of numbers; ``.tsv``, ``.txt`` or ``.csv``, packed
            or not, with the ids in the first column and the numbers in the others, or in one, separated by spaces.

    Returns:
        A function of the path that yields blocks.

    Raises:
        DataError: The ending is unknown.
    """
    readers = {".npz": _npz, ".npy": _npy, ".parquet": _parquet, ".tsv": _text, ".csv": _text, ".txt": _text}
    ending = ending_of(path)
    if ending not in readers:
        raise DataError(f"{path}: found the ending '{ending}', allowed are {', '.join(readers)}")
    return readers[ending]


def _npz(path: Path) -> Blocks:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    lists = [array for array in arrays.values() if array.ndim == 1]
    matrices = [array for array in arrays.values() if array.ndim == 2]
    if len(lists) != 1 or len(matrices) != 1:
        found = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise DataError(f"{path}: found the arrays {found}, allowed are one of ids [n] and one of vectors [n, size]")
    yield from _aligned(path, _keys(path, lists[0]), matrices[0])


def _npy(path: Path) -> Blocks:
    matrix = _load(path, mmap_mode="r")
    candidates = [path.with_name(name.format(path.stem)) for name in ID_LISTS]
    listed = next((file for file in candidates if file.is_file()), None)
    if listed is None:
        raise DataError(
            f"{path}: its ids are missing, allowed are {' or '.join(file.name for file in candidates)} beside it"
        )
    if listed.suffix == ".npy":
        keys = _keys(listed, _load(listed))
    else:
        keys = np.array(listed.read_text(encoding="utf-8").splitlines(), dtype=object)
    if matrix.ndim != 2:
        raise DataError(f"{path}: found an array of shape {list(matrix.shape)}, allowed is [n, size]")
    yield from _aligned(path, keys, matrix)


def _load(path: Path, mmap_mode: str | None = None) -> np.ndarray:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)  # type: ignore[arg-type]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def _aligned(path: Path, keys: np.ndarray, matrix: np.ndarray) -> Blocks:
    if len(keys) != len(matrix) or not len(keys):
        raise DataError(
            f"{path}: found {len(keys)} ids and {len(matrix)} vectors, allowed are as many, and one at least"
        )
    if matrix.dtype.kind not in "fiu":
        raise DataError(f"{path}: found vectors of type {matrix.dtype}, allowed are numbers")
    for start in range(0, len(keys), _ROWS):
        yield keys[start : start + _ROWS], np.asarray(matrix[start : start + _ROWS])


def _keys(path: Path, ids: np.ndarray) -> np.ndarray:
    """Ids as texts, whole numbers without a decimal point."""
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all():
        ids = ids.astype(np.int64)
    if ids.dtype.kind == "S":
        ids = np.char.decode(ids, "utf-8")
    if ids.dtype.kind not in "iuU":
        raise DataError(f"{path}: found ids of type {ids.dtype}, allowed are texts and whole numbers")
    return ids.astype(str).astype(object)


def _parquet(path: Path) -> Blocks:
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_ROWS):
            ids, *columns = (batch.column(i) for i in range(batch.num_columns))
            keys = np.array(ids.cast(pa.string()).to_pylist(), dtype=object)
            if len(columns) == 1 and pa.types.is_nested(columns[0].type):
                yield _lists(path, keys, columns[0])
            else:
                numbers = [column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in columns]
                yield keys, np.stack(numbers, axis=1) if numbers else np.empty((len(keys), 0))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def _lists(path: Path, keys: np.ndarray, lists: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """A column of lists as a matrix; null is a missing value."""
    present = lists.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(lists.drop_null()).to_numpy()
    if len(set(lengths.tolist())) > 1:
        row = int(np.flatnonzero(lengths != lengths[0])[0])
        raise DataError(
            f"{path}: the vector of '{keys[present][row]}' has {lengths[row]} numbers, those before it {lengths[0]}"
        )
    size = int(lengths[0]) if len(lengths) else 1
    return keys[present], pc.list_flatten(lists).cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, size)


def _text(path: Path) -> Blocks:
    separator = SEPARATORS[ending_of(path)]
    invalid: list[str] = []

    def remember(row: Any) -> str:
        invalid.append(f"line {row.number}: found {row.actual_columns} columns, allowed are {row.expected_columns}")
        return "error"

    try:
        with pa.input_stream(str(path), compression="detect") as file:
            first = file.read(2**24).split(b"\n", 1)[0].decode("utf-8").rstrip("\r").split(separator)
        in_one_cell = len(first) == 2 and (" " in first[1].strip() or not _is_number(first[1]))
        names = [str(i) for i in range(len(first))]
        reader = csv.open_csv(
            pa.input_stream(str(path), compression="detect"),
            csv.ReadOptions(use_threads=False, skip_rows=int(_is_header(first)), column_names=names, block_size=2**24),
            csv.ParseOptions(delimiter=separator, quote_char=False, invalid_row_handler=remember),
            csv.ConvertOptions(
                column_types={name: pa.string() if name == "0" or in_one_cell else pa.float64() for name in names}
            ),
        )
        for batch in reader:
            keys = np.array(batch.column(0).to_pylist(), dtype=object)
            if in_one_cell:
                yield _lists(path, keys, _split(path, batch.column(1)))
            else:
                numbers = [column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]]
                yield keys, np.stack(numbers, axis=1) if numbers else np.empty((len(keys), 0))
    except (OSError, pa.ArrowException, UnicodeError) as error:
        reason = invalid[0] if invalid else f"cannot be read: {' '.join(str(error).split())}"
        raise DataError(f"{path}, {reason}" if invalid else f"{path}: {reason}") from None


def _split(path: Path, cells: pa.Array) -> pa.Array:
    """Cells with numbers separated by spaces as lists, null where a cell is empty."""
    trimmed = pc.utf8_trim_whitespace(cells)
    lists = pc.utf8_split_whitespace(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    return lists.cast(pa.list_(pa.float64()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_header(cells: list[str]) -> bool:
    """Whether the first line names the columns: texts among them, or the numbers 0, 1, 2, ... or 1, 2, 3, ..."""
    counted = [[str(i) for i in range(start, start + len(cells) - 1)] for start in (0, 1)]
    texts = not all(_is_number(number) for cell in cells[1:] for number in cell.split())
    return texts or (not _is_number(cells[0]) and cells[1:] in counted)
