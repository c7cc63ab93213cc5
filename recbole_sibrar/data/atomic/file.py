"""Reading and writing RecBole's atomic files.

An atomic file is a table whose header names each column as ``field:type``; sequences are separated by
``seq_separator`` inside a cell and an empty cell is a missing value.
"""

from __future__ import annotations

import re
from csv import QUOTE_NONE
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from recbole_sibrar.data.atomic.columns import Split, TextFormat, split_columns
from recbole_sibrar.data.atomic.plain import MISSING, read_plain
from recbole_sibrar.data.atomic.rows import SEPARATORS, BadRowError, NullByteError, check_rows, line_of, read_records
from recbole_sibrar.data.atomic.vectors import BadCellError, NotPlainError, VectorParser, Vectors, join_cells
from recbole_sibrar.errors import DataError as DataError
from recbole_sibrar.names import FIELD_TYPES as FIELD_TYPES


class RowError(DataError):
    """A row cannot be divided into the cells of its header, so that nobody can read the file."""


class CellError(DataError):
    """A cell holds no value of its field's type; RecBole reads some of them in a way of its own."""


@dataclass(frozen=True)
class Field:
    """One column of an atomic file."""

    name: str
    """Name of the field, without its type."""
    type: str
    """One of :data:`FIELD_TYPES`."""

    @property
    def header(self) -> str:
        """The column's cell of the header line."""
        return f"{self.name}:{self.type}"


def read_header(path: str | PathLike[str], separator: str = "\t", encoding: str | None = None) -> list[Field]:
    """Read the header of an atomic file.

    Args:
        path: The file.
        separator: What separates columns (RecBole's ``field_separator``).
        encoding: Encoding of the file; None for the platform's.

    Returns:
        The fields, in the order of the columns.

    Raises:
        DataError: A column is not ``field:type`` with a known type, or a field occurs twice.
    """
    head = _first_line(path, encoding)
    fields: list[Field] = []
    for cell in head.split(separator):
        name, found, kind = cell.rpartition(":")
        if not found or kind not in FIELD_TYPES or _SEVERAL_FIELDS.search(name):
            raise DataError(f"{path}, line 1: {_describe_header(head, cell, separator)}")
        if name in {field.name for field in fields}:
            raise DataError(f"{path}, line 1: field '{name}' occurs twice, allowed is each field once")
        fields.append(Field(name, kind))
    return fields


_SEVERAL_FIELDS = re.compile(rf":({'|'.join(FIELD_TYPES)})\W")
"""The end of a field inside a cell of a header."""


def _first_line(path: str | PathLike[str], encoding: str | None) -> str:
    """The header, which has to be there."""
    try:
        with open(path, encoding=encoding or "utf-8") as file:
            head = file.readline()
    except UnicodeError:
        raise undecodable(path, encoding) from None
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror}") from None
    if not head:
        raise DataError(f"{path}: the file is empty, allowed is a header of field:type and a line for each row")
    if head.startswith("\ufeff"):
        raise DataError(
            f"{path}, line 1: found a byte-order mark, allowed is a header of field:type; save the file without, "
            "or set the key 'encoding' to utf-8-sig"
        )
    return head.rstrip("\r\n")


def _describe_header(head: str, cell: str, separator: str) -> str:
    """What is wrong with a cell of a header."""
    found = f"column '{cell}' is not 'field:type' with a type of {', '.join(FIELD_TYPES)}"
    if "\0" in head:
        return "found NUL bytes in the header; the file is damaged, or in another encoding (key 'encoding')"
    if head.startswith('"') or separator + '"' in head:
        return f"{found}; write the header without quotation marks"
    if not head.strip():
        return "found a blank line, allowed is a header of field:type"
    if head.endswith(separator) and not cell:
        return f"{found}; the line ends in a separator too many"
    for other, name in SEPARATORS.items():
        kinds = [part.rpartition(":")[2] for part in head.split(other)]
        if other != separator and len(kinds) > 1 and all(kind in FIELD_TYPES for kind in kinds):
            return f"{found}; the columns seem to be separated by {name} (key 'field_separator')"
    return found if ":" in head else f"{found}; the first line has to be the header"


def read_frame(
    path: str | PathLike[str],
    fields: list[Field],
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
    dtype: type[np.floating] = np.float64,
) -> pd.DataFrame:
    """Read columns of an atomic file into the frame that RecBole's own reader makes of them.

    Args:
        path: The file.
        fields: The columns to read, in the order of :func:`read_header`.
        separator: What separates columns.
        seq_separator: What separates the elements of a sequence.
        encoding: Encoding of the file; None for the platform's.
        dtype: Type of the numbers of a ``float_seq``: RecBole's float64, or float32 for half the memory.

    Returns:
        One column per field: ``token`` as str (NaN where empty), ``float`` as float64, sequences as an
        array per row: str for ``token_seq``, ``dtype`` for ``float_seq`` (views of one matrix), empty where the cell
        is.

    Raises:
        DataError: A number cannot be read, or the vectors of a ``float_seq`` differ in length.
    """
    text_format = TextFormat(separator, seq_separator, encoding)
    return make_frame(path, fields, text_format, dtype, split=read_split(path, fields, text_format, dtype))


def read_split(
    path: str | PathLike[str],
    fields: list[Field],
    text_format: TextFormat,
    dtype: type[np.floating],
    strict: bool = False,
) -> Split | None:
    """Read a file that has vectors by :func:`~recbole_sibrar.data.atomic.columns.split_columns`.

    Returns:
        Its parts; None where it has no vectors or cannot be divided.

    Raises:
        DataError: A vector cannot be read.
    """
    header = read_header(path, text_format.separator, text_format.encoding)
    vectors = [field.header for field in header if field.type == "float_seq"]
    if not vectors:
        return None
    wanted = [field.header for field in fields if field.header in vectors]
    try:
        return split_columns(path, vectors, wanted, text_format, dtype, strict)
    except BadCellError as error:
        name, _, kind = error.column.rpartition(":")
        _wrong(path, text_format, error.row, name, kind, error.found)


def make_frame(
    path: str | PathLike[str],
    fields: list[Field],
    text_format: TextFormat,
    dtype: type[np.floating],
    split: Split | None,
    strict: bool = False,
) -> pd.DataFrame:
    """Make the frame of :func:`read_frame`.

    Args:
        path: The file.
        fields: The columns of the frame.
        text_format: How the file is written.
        dtype: Type of the numbers of a ``float_seq``.
        split: The file's parts, if they have been read.
        strict: Whether the frame is for RecBole, which reads cells of several lines, and a vector of NaN otherwise.

    Raises:
        DataError: The file does not hold what it should.
    """
    parsed = {} if split is None else split.vectors
    frame = _read_table(path, [field for field in fields if field.header not in parsed], text_format, split, strict)
    result: dict[str, Any] = {}
    for field in fields:
        if field.type == "float_seq":
            vectors = parsed.get(field.header) or _vectors(path, field, frame, text_format, dtype, strict)
            if len(vectors.missing) and vectors.missing.all():
                found = f"{path}, field '{field.name}' (float_seq): every line is empty"
                raise CellError(f"{found}; list the field in unload_col")
            result[field.name] = vectors.rows()
        elif field.type == "token_seq":
            cells = frame[field.header].fillna("")
            result[field.name] = _objects([np.array(_split(cell, text_format.seq_separator)) for cell in cells])
        elif field.type == "float":
            result[field.name] = _numbers(path, text_format, field.name, frame[field.header])
        else:
            result[field.name] = frame[field.header]
    return pd.DataFrame(result, copy=False)


def _read_table(
    path: str | PathLike[str], fields: list[Field], text_format: TextFormat, split: Split | None, strict: bool
) -> pd.DataFrame:
    """The cells of columns as str, NaN where one is empty."""
    columns = [field.header for field in fields]
    if split is None:
        check_text(path, text_format, line_breaks=strict)
        if len(text_format.separator) > 1:
            return _read_records(path, columns, text_format)
    elif b"\0" in split.rest:
        check_text(path, text_format)
    elif text_format.is_utf8:
        frame = read_plain(split.rest, columns, text_format.separator)
        if frame is not None:
            return frame
    try:
        return pd.read_csv(
            path if split is None else BytesIO(split.rest),
            sep=text_format.separator,
            usecols=columns,
            dtype=str,
            encoding=text_format.encoding,
            engine="c" if text_format.separator.isascii() else "python",
            skip_blank_lines=split is None,
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {' '.join(str(error).split())}") from None
    except UnicodeError:
        raise undecodable(path, text_format.encoding) from None


def check_text(path: str | PathLike[str], text_format: TextFormat, line_breaks: bool = False) -> None:
    """Check the rows of a file with :func:`~recbole_sibrar.data.atomic.rows.check_rows`.

    Raises:
        RowError: A row has more or fewer cells than the header.
        DataError: The file holds a NUL byte, or has another encoding.
    """
    try:
        check_rows(path, text_format, line_breaks)
    except BadRowError as error:
        kind = DataError if isinstance(error, NullByteError) else RowError
        raise kind(f"{path}, line {error.line}: {error.found}") from None
    except UnicodeError:
        raise undecodable(path, text_format.encoding) from None


def _read_records(path: str | PathLike[str], columns: list[str], text_format: TextFormat) -> pd.DataFrame:
    """The cells of a file whose separator is longer than a character, without reading it as a pattern."""
    header, *rows = (record.cells for record in read_records(path, text_format))
    result = {}
    for name in columns:
        position = header.index(name)
        cells = pd.Series([row[position] for row in rows], dtype=object)
        result[name] = cells.mask(cells.isin(MISSING))
    return pd.DataFrame(result)


def _split(cell: str, separator: str) -> list[str]:
    return [element for element in cell.split(separator) if element]


def _objects(rows: list[np.ndarray]) -> pd.Series:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return pd.Series(column)


def undecodable(path: str | PathLike[str], encoding: str | None) -> DataError:
    """The error for a file whose text is in another encoding than the configuration says."""
    used, advice = encoding or "utf-8", "set the key 'encoding' to what it is"
    content = Path(path).read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return DataError(f"{path}: the text is not {used}; {advice}, which seems to be utf-16")
    lines = content.split(b"\n") if "\n".encode(used) == b"\n" else []
    for number, line in enumerate(lines, 1):
        try:
            line.decode(used)
        except UnicodeDecodeError as error:
            found = f"found the byte 0x{line[error.start]:02x}"
            return DataError(f"{path}, line {number}: the text is not {used}, {found}; {advice}, such as latin-1")
    return DataError(f"{path}: the text is not {used}; {advice}")


def _wrong(path: str | PathLike[str], text_format: TextFormat, row: int, name: str, kind: str, found: str) -> NoReturn:
    """Raise what is wrong in a row of the frame, by the number that the line has in an editor."""
    raise CellError(f"{path}, line {line_of(path, text_format, row)}, field '{name}' ({kind}): {found}")


def _numbers(path: str | PathLike[str], text_format: TextFormat, name: str, cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    wrong = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        _wrong(path, text_format, row, name, "float", f"'{cells.iloc[row]}' is not a finite number")
    return numbers


def _vectors(
    path: str | PathLike[str],
    field: Field,
    frame: pd.DataFrame,
    text_format: TextFormat,
    dtype: type[np.floating],
    strict: bool,
) -> Vectors:
    """Parse a ``float_seq`` column that was read as text."""
    text, cells = join_cells([cell.encode() for cell in frame[field.header].fillna("")])
    parser = VectorParser(text_format.seq_separator, "utf-8", dtype, strict)
    parser.measure(text, cells)
    matrix = np.empty((len(cells), parser.size), dtype)
    try:
        return Vectors(matrix, parser.parse(text, cells, matrix))
    except NotPlainError:
        raise CellError(f"{path}, field '{field.name}' (float_seq): found a quotation mark among the numbers") from None
    except BadCellError as error:
        _wrong(path, text_format, error.row, field.name, field.type, error.found)


def write_frame(
    path: str | PathLike[str],
    fields: list[Field],
    frame: pd.DataFrame,
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
) -> None:
    """Write an atomic file; what :func:`read_frame` or RecBole reads from it is what ``frame`` holds.

    Args:
        path: The file.
        fields: The columns to write.
        frame: A column for each field, as :func:`read_frame` returns them.
        separator: What separates columns.
        seq_separator: What separates the elements of a sequence.
        encoding: Encoding of the file; None for UTF-8.
    """
    columns: dict[str, Any] = {}
    for field in fields:
        column = frame[field.name]
        if field.type.endswith("seq"):
            column = column.map(lambda row: seq_separator.join(map(str, row)))
        columns[field.header] = column
    table = pd.DataFrame(columns)
    table.to_csv(
        path, sep=separator, index=False, encoding=encoding or "utf-8", lineterminator="\n", quoting=QUOTE_NONE
    )
