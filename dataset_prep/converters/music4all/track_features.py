"""Feature files of Music4All-Onion: vectors, tags and genres of tracks, read in chunks."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...lists import filled_parts
from ...pipeline.raw import RawField, others_left_out
from ...readers.entity_file import EntityFile
from ...readers.stream_tables import StreamTable, read_header, read_rows
from ...readers.streams import COMPRESSIONS, Block

ID_NAMES = ("id", "ID")
"""Names of the first column of a feature file."""

MISSING = ("", "nan", "NaN", "NA", "null", "None")
"""Words for a missing number; a vector has to be missing as a whole."""


def feature_fields(folder: Path) -> list[RawField]:
    """Make the fields of all files ``id_<name>.tsv``, plain or compressed, ordered by name.

    ``id_tags_dict.tsv`` and ``id_genres.tsv`` become ``token_seq`` fields, all others ``float_seq``
    fields.
    """
    # Of an unpacked and a packed copy the unpacked one is read: its suffix comes first.
    paths: dict[str, Path] = {}
    for suffix in COMPRESSIONS:
        for path in sorted(folder.glob(f"id_*.tsv{suffix}")):
            paths.setdefault(_name(path), path)
    return [_field(name, path) for name, path in sorted(paths.items())]


def _name(path: Path) -> str:
    return path.name.removeprefix("id_").partition(".tsv")[0]


def _field(name: str, path: Path) -> RawField:
    notes: list[str] = []
    file = EntityFile(path.name, is_table=True, read_ids=lambda: read_ids(path))
    parse = LABELS.get(name)

    if parse is None:
        vectors = partial(read_vectors, path, notes=notes, file=file)
        return RawField(name, "float_seq", vectors, path.name, notes, file)

    labels = partial(read_labels, path, parse=parse, notes=notes, file=file)
    return RawField(name, "token_seq", labels, path.name, notes, file)


def check_feature_header(path: Path) -> tuple[str, ...]:
    """Read the names of the columns of a feature file: the id, then numbers or labels.

    Raises:
        DataError: They are others.
    """
    names = read_header(path)
    if names[0] not in ID_NAMES or len(names) < 2:
        found = f"'{names[0]}' and {len(names) - 1} more columns"
        raise DataError(
            f"{path}, line 1: found {found}, allowed is id or ID, and columns of values after it"
        )
    if len(names) > 2 and _name(path) in LABELS:
        raise DataError(
            f"{path}, line 1: found {len(names)} columns, allowed are 2: {names[0]} and the labels"
        )
    return names


def read_ids(path: Path) -> pd.Index:
    """Read the ids of all tracks of a file.

    Raises:
        DataError: The file has a wrong value.
    """
    names = check_feature_header(path)
    table = StreamTable(path, names, {names[0]: pa.string()})
    ids: list[str] = []
    for block in read_rows(path):
        ids += table.parse(block)[names[0]].to_pylist()
    return pd.Index(ids, dtype=object)


def read_vectors(
    path: Path, ids: pd.Index, notes: list[str], file: EntityFile | None = None
) -> NDArray[Any]:
    """Read the vectors of some tracks.

    Args:
        path: A file of ids and numbers.
        ids: The tracks.
        notes: Receives a sentence on the lines of other tracks.
        file: Receives the ids of all lines.

    Returns:
        float32 ``[len(ids), size]``, a row of NaN for a track without a line.

    Raises:
        DataError: A value is wrong, a track occurs twice, or a number is not finite.
    """
    names = check_feature_header(path)
    types = {names[0]: pa.string(), **dict.fromkeys(names[1:], pa.float32())}
    table = StreamTable(path, names, types, missing=MISSING)
    vectors = np.full((len(ids), len(names) - 1), np.nan, dtype=np.float32)
    lines = _Lines(table, ids, notes, file)
    for block in read_rows(path):
        parsed = table.parse(block)
        rows = lines.rows(block, parsed[names[0]].to_pylist())

        # [lines of the block, size]
        values = np.column_stack([parsed[name].to_numpy() for name in names[1:]])
        _check_finite(table, block, values)
        vectors[rows[rows >= 0]] = values[rows >= 0]

    lines.note()
    return vectors


def read_labels(
    path: Path,
    ids: pd.Index,
    parse: Callable[[str], list[str]],
    notes: list[str],
    file: EntityFile | None = None,
) -> pd.Series:
    """Read the labels of some tracks.

    Args:
        path: A file of ids and one column of labels.
        ids: The tracks.
        parse: Makes a list of the text of a cell, or raises a ValueError with the allowed form.
        notes: Receives a sentence on the lines of other tracks.
        file: Receives the ids of all lines.

    Returns:
        A list of labels for each track, empty for a track without a line.

    Raises:
        DataError: A value is wrong, or a track occurs twice.
    """
    names = check_feature_header(path)
    table = StreamTable(path, names, dict.fromkeys(names, pa.string()))
    labels: list[list[str]] = [[] for _ in ids]
    lines = _Lines(table, ids, notes, file)

    for block in read_rows(path):
        parsed = table.parse(block)
        rows = lines.rows(block, parsed[names[0]].to_pylist())
        cells = parsed[names[1]].to_pylist()
        for n in np.flatnonzero(rows >= 0):
            try:
                labels[rows[n]] = parse(cells[n])
            except ValueError as error:
                # A printed dictionary can have thousands of characters.
                table.refuse(block, int(n), names[1], cells[n][:100], str(error))

    lines.note()
    return pd.Series(labels, dtype=object)


def parse_tags(cell: str) -> list[str]:
    """Parse the tags of a printed dictionary ``{'tag': weight, ...}``, in its order.

    Their weights are left out.
    """
    allowed = "a dictionary such as {'rock': 0.5}"

    # pandas writes a text with quotation marks so.
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].replace('""', '"')

    # literal_eval runs no code.
    try:
        tags = ast.literal_eval(cell) if cell else {}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(allowed) from None
    if not isinstance(tags, dict):
        raise ValueError(allowed)
    return [str(tag) for tag in tags]


def parse_genres(cell: str) -> list[str]:
    """Parse the genres of a text ``rock,indie pop``."""
    return filled_parts(cell)


LABELS: dict[str, Callable[[str], list[str]]] = {"tags_dict": parse_tags, "genres": parse_genres}
"""Files of labels, by the middle of their names -> parser of a cell."""


class _Lines:
    """Lines of a file, matched with the wanted tracks."""

    def __init__(
        self, table: StreamTable, ids: pd.Index, notes: list[str], file: EntityFile | None
    ) -> None:
        self._table = table
        self._ids = ids
        self._notes = notes
        self._file = file
        self._seen = np.zeros(len(ids), dtype=bool)
        self._n_lines = 0

    def rows(self, block: Block, names: list[str]) -> NDArray[Any]:
        """Find the position of each line among the wanted tracks, -1 for others: int ``[n]``."""
        index = pd.Index(names, dtype=object)
        rows = self._ids.get_indexer(index)
        if self._file is not None:
            self._file.add(index)

        self._n_lines += len(rows)
        kept = np.flatnonzero(rows >= 0)

        # Twice in this block, or in one before.
        twice = pd.Series(rows[kept]).duplicated().to_numpy() | self._seen[rows[kept]]
        if twice.any():
            row = int(kept[np.argmax(twice)])
            self._table.refuse(
                block,
                row,
                self._table.names[0],
                names[row],
                "each track once, this is its second line",
            )

        self._seen[rows[kept]] = True
        return rows

    def note(self) -> None:
        """Note the number of lines left out.

        Raises:
            DataError: No line is of a track with listeners.
        """
        if self._file is not None:
            self._file.close()
        others = self._n_lines - int(self._seen.sum())
        self._notes.extend(others_left_out(self._table.path.name, others, self._n_lines, "tracks"))


def _check_finite(table: StreamTable, block: Block, values: NDArray[Any]) -> None:
    finite = np.isfinite(values)
    wrong = ~finite.all(axis=1) & ~np.isnan(values).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        column = int(np.argmin(finite[row]))
        allowed = "a finite number; or all numbers of a line are empty, then its vector is missing"
        table.refuse(block, row, table.names[column + 1], values[row, column], allowed)
