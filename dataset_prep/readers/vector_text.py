"""Text files of vectors by id, read in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from recbole_sibrar.errors import DataError

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
        in_one_cell = len(first) == 2 and (" " in first[1].strip() or not _is_number(first[1]))
        names = [str(i) for i in range(len(first))]
        reader = csv.open_csv(
            pa.input_stream(str(path), compression="detect"),
            csv.ReadOptions(
                use_threads=False,
                skip_rows=int(_is_header(first)),
                column_names=names,
                block_size=2**24,
            ),
            parsing,
            csv.ConvertOptions(
                column_types={
                    name: pa.string() if name == "0" or in_one_cell else pa.float64()
                    for name in names
                }
            ),
        )
        for batch in reader:
            keys = np.array(batch.column(0).to_pylist(), dtype=object)
            if in_one_cell:
                yield to_matrix(path, keys, _as_lists(path, keys, batch.column(1)))
            else:
                numbers = [column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]]
                yield keys, np.stack(numbers, axis=1) if numbers else np.empty((len(keys), 0))
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise DataError(explained(path, error)) from None


def _first_line(path: Path, parsing: csv.ParseOptions) -> list[str]:
    """Read the cells of the first line, header or not."""
    with pa.input_stream(str(path), compression="detect") as file:
        line = file.read(2**24).split(b"\n", 1)[0] + b"\n"

    # Arrow gives no names to a file without rows: the line is names and row
    twice = pa.BufferReader(2 * line)
    options = csv.ReadOptions(use_threads=False, block_size=2 * len(line))
    names: list[str] = csv.open_csv(twice, options, parsing).schema.names
    return names


def _as_lists(path: Path, keys: NDArray[Any], cells: pa.Array) -> pa.Array:
    """Parse cells with numbers between spaces or commas, in brackets or not, as lists; null for an empty cell."""
    trimmed = pc.utf8_trim_whitespace(pc.replace_substring_regex(cells, _BRACKETS.pattern, " "))
    lists = pc.utf8_split_whitespace(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    try:
        return lists.cast(pa.list_(pa.float64()))
    except pa.ArrowInvalid:
        texts = lists.to_pylist()
        row = next(
            row for row, numbers in enumerate(texts) if not all(map(_is_number, numbers or ()))
        )
        found = next(number for number in texts[row] if not _is_number(number))
        raise DataError(
            f"{path}: the vector of '{keys[row]}' has '{found}', allowed are numbers"
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_header(cells: list[str]) -> bool:
    """Recognise a header: texts among its cells, or the numbers 0, 1, 2, ... or 1, 2, 3, ..."""
    counted = [[str(i) for i in range(start, start + len(cells) - 1)] for start in (0, 1)]
    texts = not all(
        _is_number(number) for cell in cells[1:] for number in _BRACKETS.sub(" ", cell).split()
    )
    is_name = not _is_number(cells[0]) and (len(cells) > 2 or cells[0].lower().endswith("id"))
    return texts or (is_name and cells[1:] in counted)


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
    return keys[present], pc.list_flatten(lists).cast(pa.float64()).to_numpy(
        zero_copy_only=False
    ).reshape(-1, size)
