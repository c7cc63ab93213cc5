"""Text files of vectors by id, read in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from recbole_sibrar.errors import DataError

from ..lists import numbered
from .endings import SEPARATORS, ending_of
from .raw_text import explained

Blocks = Iterator[tuple[NDArray[Any], NDArray[Any]]]
"""Blocks of a file: ids, object ``[m]`` of str, and their vectors, ``[m, size]``."""

_BRACKETS = re.compile(r"[\[\],]")


def read_text_vectors(path: Path) -> Blocks:
    """Read a ``.tsv``, ``.txt`` or ``.csv`` file, packed or not, with or without a header.

    Args:
        path: Its first column holds the ids, the others the numbers; or the second the numbers,
            separated by spaces or commas, in brackets or not. Cells of ``.csv`` can be quoted.

    Raises:
        DataError: It cannot be read, a line has another number of columns, or a cell holds no
            number.
    """
    separator = SEPARATORS[ending_of(path)]
    quote = '"' if separator == "," else False
    parsing = csv.ParseOptions(delimiter=separator, quote_char=quote)

    try:
        first = _first_line(path, parsing)

        # Of two columns the second holds a vector, unless it is a single number.
        in_one_cell = len(first) == 2 and (" " in first[1].strip() or not _is_number(first[1]))
        for batch in _open(path, parsing, first, in_one_cell):
            keys = np.array(batch.column(0).to_pylist(), dtype=object)
            if in_one_cell:
                yield to_matrix(path, keys, _as_lists(path, keys, batch.column(1)))
            else:
                yield keys, stack(batch.columns[1:], len(keys))
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise DataError(explained(path, error)) from None


def _open(
    path: Path, parsing: csv.ParseOptions, first: list[str], in_one_cell: bool
) -> csv.CSVStreamingReader:
    """Open a file as a stream of blocks: column ``0`` of ids, then texts or float64 numbers."""
    names = numbered(len(first))

    # With threads Arrow reports a wrong cell without the number of its row.
    reading = csv.ReadOptions(
        use_threads=False,
        skip_rows=int(_is_header(first)),
        column_names=names,
        block_size=2**24,
    )

    # The types are given: Arrow would infer them from the first block, and fail on a later one.
    number = pa.string() if in_one_cell else pa.float64()
    types = dict.fromkeys(names, number) | {"0": pa.string()}
    converting = csv.ConvertOptions(column_types=types)

    stream = pa.input_stream(str(path), compression="detect")
    return csv.open_csv(stream, reading, parsing, converting)


def _first_line(path: Path, parsing: csv.ParseOptions) -> list[str]:
    """Read the cells of the first line, header or not."""
    with pa.input_stream(str(path), compression="detect") as file:
        line = file.read(2**24).split(b"\n", 1)[0] + b"\n"

    # Arrow gives no names to a file without rows: the line is names and row.
    twice = pa.BufferReader(2 * line)
    options = csv.ReadOptions(use_threads=False, block_size=2 * len(line))
    names: list[str] = csv.open_csv(twice, options, parsing).schema.names
    return names


def _as_lists(path: Path, keys: NDArray[Any], cells: pa.Array) -> pa.Array:
    """Parse cells with numbers between spaces or commas, in brackets or not, as lists.

    An empty cell is null.
    """
    trimmed = pc.utf8_trim_whitespace(pc.replace_substring_regex(cells, _BRACKETS.pattern, " "))
    lists = pc.utf8_split_whitespace(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    try:
        return lists.cast(pa.list_(pa.float64()))
    except pa.ArrowInvalid:
        # Arrow names neither the row nor the text.
        _refuse_text(path, keys, lists)
        raise


def _refuse_text(path: Path, keys: NDArray[Any], lists: pa.Array) -> None:
    """Refuse the first text that is no number."""
    for row, texts in enumerate(lists.to_pylist()):
        for text in texts or ():
            if not _is_number(text):
                raise DataError(
                    f"{path}: the vector of '{keys[row]}' has '{text}', allowed are numbers"
                ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_header(cells: list[str]) -> bool:
    """Recognise a header: texts among its cells, or the numbers 0, 1, 2, ... or 1, 2, 3, ..."""
    numbers = _BRACKETS.sub(" ", " ".join(cells[1:])).split()
    if not all(_is_number(number) for number in numbers):
        return True

    # pandas names columns without names by their numbers.
    n = len(cells) - 1
    is_counted = cells[1:] in (numbered(n), numbered(n, start=1))
    is_name = not _is_number(cells[0]) and (len(cells) > 2 or cells[0].lower().endswith("id"))
    return is_name and is_counted


def stack(columns: Sequence[pa.Array], n_rows: int) -> NDArray[Any]:
    """Make a matrix of columns of numbers: float64 ``[n_rows, len(columns)]``."""
    if not columns:
        return np.empty((n_rows, 0))
    numbers = [column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in columns]
    return np.stack(numbers, axis=1)


def to_matrix(path: Path, keys: NDArray[Any], lists: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make a block of a column of lists.

    Args:
        path: Its file, for messages.
        keys: The ids, object ``[m]`` of str.
        lists: The vectors, null for a missing one.

    Raises:
        DataError: Two vectors have different lengths.
    """
    present = lists.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(lists.drop_null()).to_numpy()
    if len(set(lengths.tolist())) > 1:
        row = int(np.flatnonzero(lengths != lengths[0])[0])
        raise DataError(
            f"{path}: the vector of '{keys[present][row]}' has {lengths[row]} numbers, those "
            f"before it {lengths[0]}"
        )
    size = int(lengths[0]) if len(lengths) else 1

    # list_flatten leaves out missing lists: the rows are those of the present ids.
    numbers = pc.list_flatten(lists).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return keys[present], numbers.reshape(-1, size)
