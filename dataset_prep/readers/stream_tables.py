"""Tables of text larger than memory, parsed block by block. Messages name line and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
from pyarrow import csv

from recbole_sibrar.errors import DataError

from ..lists import first_repeated
from .streams import Block, read_blocks

ID = pa.dictionary(pa.int32(), pa.string())
"""Type of a column of ids: each id becomes a Python string once a block, not once a line."""

ALLOWED: dict[pa.DataType, str] = {
    ID: "a name in UTF-8, not empty",
    pa.string(): "text in UTF-8",
    pa.int64(): "a whole number",
    pa.float64(): "a number",
    pa.float32(): "a number",
    pa.timestamp("s"): "a time such as 2018-07-31 23:59:59",
}
"""Type of a column -> allowed content of a cell, in words."""

HEADER_BYTES = 1 << 16
"""Bytes to read for the header."""


@dataclass(frozen=True)
class StreamTable:
    """A file of lines and columns. Some of the columns are read."""

    path: Path
    """The file."""
    names: tuple[str, ...]
    """All its columns."""
    types: Mapping[str, pa.DataType]
    """The columns to read, with their types."""
    separator: str = "\t"
    """Separator of columns."""
    missing: tuple[str, ...] = ()
    """Words for missing numbers; without any, an empty number or time is refused."""

    def parse(self, block: Block) -> pa.Table:
        """Parse the lines of ``block``, and keep the columns to read.

        Raises:
            DataError: A line has another number of columns, or a cell has a wrong value.
        """
        try:
            table = self._read(block.data, self.names, self.types)
        except pa.ArrowInvalid as error:
            self._explain(block, str(error))

        for name, kind in self.types.items():
            if kind == ID:
                self._check_ids(block, name, table[name])
        return table

    def refuse(self, block: Block, row: int, name: str, found: object, allowed: str) -> NoReturn:
        """Refuse a cell.

        Args:
            block: Its block.
            row: Its row in the result of :meth:`parse`.
            name: Its column.
            found: Its content.
            allowed: Allowed content, in words.

        Raises:
            DataError: Always.
        """
        line, _ = next(islice(block.lines(), row, None))
        raise DataError(
            f"{self.path}, line {line}, column '{name}': found '{found}', allowed is {allowed}"
        )

    def _check_ids(self, block: Block, name: str, ids: pa.ChunkedArray) -> None:
        """Refuse an empty id."""
        # A look into the dictionaries is enough: a block has far fewer different ids than lines.
        for chunk in ids.chunks:
            if "" in chunk.dictionary.to_pylist():
                row = ids.cast(pa.string()).to_pylist().index("")
                self.refuse(block, row, name, "", ALLOWED[ID])

    def _read(
        self, data: bytes, names: tuple[str, ...], types: Mapping[str, pa.DataType]
    ) -> pa.Table:
        # One block for Arrow, so that a row number counts from the start of the data. Quotation
        # marks are parts of the texts.
        return csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=list(names)),
            csv.ParseOptions(delimiter=self.separator, quote_char=False),
            csv.ConvertOptions(
                column_types=dict(types),
                include_columns=list(types),
                null_values=list(self.missing),
            ),
        )

    def _fits(self, data: bytes, names: tuple[str, ...], types: Mapping[str, pa.DataType]) -> bool:
        try:
            self._read(data, names, types)
        except pa.ArrowInvalid:
            return False
        return True

    def _explain(self, block: Block, reason: str) -> NoReturn:
        """Refuse the first unreadable line, found by halving the block."""
        # Arrow does not always name the row of an error.
        lines = list(block.lines())
        while len(lines) > 1:
            half = lines[: len(lines) // 2]
            fits = self._fits(b"\n".join(line for _, line in half), self.names, self.types)
            lines = lines[len(half) :] if fits else half

        number, line = lines[0]
        where = f"{self.path}, line {number}"
        cells = line.split(self.separator.encode())
        if len(cells) != len(self.names):
            shown = ", ".join(self.names) if len(self.names) < 10 else "as in line 1"
            raise DataError(
                f"{where}: found {len(cells)} columns, allowed are {len(self.names)} ({shown})"
            )

        for name, cell in zip(self.names, cells, strict=True):
            if name in self.types and not self._holds(cell, self.types[name]):
                found = cell.decode(errors="replace")
                raise DataError(
                    f"{where}, column '{name}': found '{found}', allowed is "
                    f"{ALLOWED[self.types[name]]}"
                )

        raise DataError(f"{where}: {' '.join(reason.split())}")

    def _holds(self, cell: bytes, kind: pa.DataType) -> bool:
        if not cell:
            return kind == pa.string() or "" in self.missing
        return self._fits(cell, ("cell",), {"cell": kind})


def open_table(
    path: Path,
    types: Mapping[str, pa.DataType],
    separator: str = "\t",
    missing: tuple[str, ...] = (),
) -> StreamTable:
    """Open a table with the columns of its header.

    Args:
        path: The file.
        types: The columns to read, with their types.
        separator: Separator of columns.
        missing: Words for missing numbers.

    Raises:
        DataError: The header lacks one of them, or is none.
    """
    names = read_header(path, separator)
    for name in types:
        if name not in names:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise DataError(
                f"{path}, line 1: no column '{name}'; found {shown}; needed are {', '.join(types)}"
            )
    return StreamTable(path, names, types, separator, missing)


def read_header(path: Path, separator: str = "\t") -> tuple[str, ...]:
    """Read the names of the columns of a file from its first line.

    Raises:
        DataError: The file is empty, or its first line is not a header of different names in UTF-8.
    """
    head, _ = _cut_header(path, HEADER_BYTES)
    try:
        names = tuple(head.decode("utf-8-sig").rstrip("\r").split(separator))
    except UnicodeDecodeError:
        raise DataError(f"{path}, line 1: the text is not UTF-8") from None

    twice = first_repeated(names)
    if twice is not None:
        raise DataError(f"{path}, line 1: the column '{twice}' occurs twice")
    return names


def read_rows(path: Path, size: int | None = None) -> Iterator[Block]:
    """Read the lines of a file below its header, like :func:`~.streams.read_blocks`."""
    return _cut_header(path, size)[1]


def _cut_header(path: Path, size: int | None) -> tuple[bytes, Iterator[Block]]:
    blocks = read_blocks(path, size)
    first = next(blocks, None)
    if first is None:
        raise DataError(f"{path}: the file is empty, allowed is a header and lines below it")

    # The header is cut off, and the numbers of the lines below it stay those of the file.
    head, _, rest = first.data.partition(b"\n")
    below = Block(first.first_line + 1, rest)
    return head, chain([below] if rest else [], blocks)
