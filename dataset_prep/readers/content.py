"""Reading of content to encode: ids and cells of text, from a table of any usual kind."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from recbole_sibrar.data.atomic import read_frame, read_header
from recbole_sibrar.errors import DataError, nearest

from ..messages import one_line
from .endings import JSON_ENDINGS, ending_of

ID_COLUMNS = ("id", "ID", "item_id", "user_id")
"""Usual columns of ids."""

UNREADABLE = (OSError, EOFError, zlib.error, UnicodeError, pyarrow.ArrowException)
"""Errors of reading a file, beside :class:`DataError`."""


def read_content(
    path: Path, id_column: str | None, columns: Sequence[str] | None, key: str
) -> pd.DataFrame:
    """Read ids and text from a table.

    Args:
        path: CSV, TSV, JSONL, JSON (an object of id -> text, an object of id -> object, or a list
            of objects), each also packed as .gz; Parquet; or an atomic file (.item, .user), with
            names of columns without their type.
        id_column: The column of the ids; None for the first existing one of :data:`ID_COLUMNS`.
        columns: The columns of text; None for the only one beside the ids.
        key: The option for ``columns``, for messages.

    Returns:
        The ids as index (str, each once), and the columns as str, empty for a missing value.
        Elements of a list are joined by spaces.

    Raises:
        DataError: The file cannot be read, lacks a column, or an id is missing or occurs twice.
    """
    # The names first: the columns to read depend on them.
    names_of, read = _reader(path)

    try:
        names = names_of(path)
        if not names:
            raise DataError(f"--input: {path} has no row")
        id_column = _id_column(path, names, id_column)
        others = [name for name in names if name != id_column]
        columns = _text_columns(path, others, columns, key)

        # Only the columns in use are held in memory.
        frame = read(path, [id_column, *columns])
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise DataError(f"--input: cannot read {path}: {reason}") from None

    cells: dict[str, list[str]] = {}
    for name in [id_column, *columns]:
        cells[name] = [_text(cell, path, name) for cell in frame[name]]

    texts = pd.DataFrame(cells)
    ids = texts[id_column]
    if (ids == "").any():
        raise DataError(
            f"{path}, row {int(np.argmax(ids == '')) + 1}: column '{id_column}' is empty; a row "
            "needs an id"
        )

    check_unique(ids, str(path))
    return texts.set_index(id_column)


def check_unique(ids: pd.Series, source: str) -> None:
    """Raise a :class:`DataError` if an id occurs twice."""
    twice = ids[ids.duplicated()]
    if len(twice):
        rows = np.flatnonzero(ids == twice.iloc[0]) + 1
        where = f"rows {rows[0]} and {rows[1]}"
        raise DataError(
            f"{source}: the id '{twice.iloc[0]}' occurs {len(rows)} times ({where}), allowed is "
            "once"
        )


def _id_column(path: Path, names: Sequence[str], column: str | None) -> str:
    if column is None:
        column = next((name for name in ID_COLUMNS if name in names), None)
        if column is None:
            found = ", ".join(names)
            raise DataError(
                f"--id_column: {path} has no column {' or '.join(ID_COLUMNS)}; name one of {found}"
            )
    elif column not in names:
        raise _unknown("--id_column", column, path, names)
    return column


def _text_columns(
    path: Path, names: Sequence[str], columns: Sequence[str] | None, key: str
) -> list[str]:
    if columns is None:
        if len(names) != 1:
            raise DataError(f"{key}: name the columns of {path} to use, among {', '.join(names)}")
        return list(names)
    for column in columns:
        if column not in names:
            raise _unknown(key, column, path, names)
        if list(columns).count(column) > 1:
            raise DataError(f"{key}: found '{column}' twice, allowed is once")
    return list(columns)


def _unknown(key: str, column: str, path: Path, names: Sequence[str]) -> DataError:
    known = f"found '{column}', {path} has the columns {', '.join(names)}"
    return DataError(f"{key}: {known}{nearest(column, names)}")


def _text(cell: Any, path: Path, column: str) -> str:
    """Write a cell as text, whole numbers without a decimal point; empty for a missing value."""
    if isinstance(cell, (list, tuple, np.ndarray)):
        parts = [_text(element, path, column) for element in cell]
        return " ".join(filter(None, parts))
    if isinstance(cell, dict):
        raise DataError(
            f"{path}, column '{column}': found an object, allowed are text, numbers and lists of "
            "them"
        )

    # NaN alone differs from itself; pd.NA comes first, since its comparisons have no truth value.
    if cell is None or cell is pd.NA or cell != cell:
        return ""

    # pandas turns whole numbers into floats where cells of the column are missing.
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)

    # JSON can hold halves of characters, and tokenizers fail on them.
    return str(cell).encode(errors="replace").decode().strip()


_Reader = tuple[Callable[[Path], list[str]], Callable[[Path, list[str]], pd.DataFrame]]


def _reader(path: Path) -> _Reader:
    """Choose the functions for the names of a file's columns, and for its cells."""
    kind = _kind(path)
    readers = {
        ".csv": (_record_names, _record_frame),
        ".tsv": (_record_names, _record_frame),
        ".parquet": (_parquet_names, _parquet),
        **dict.fromkeys(JSON_ENDINGS, (_record_names, _record_frame)),
        ".item": (_atomic_names, _atomic),
        ".user": (_atomic_names, _atomic),
    }
    if kind not in readers:
        raise DataError(
            f"--input: found {path}, allowed is a file that ends in {', '.join(readers)}"
        )
    if not path.is_file():
        raise DataError(f"--input: there is no file {path}")

    return readers[kind]


def _parquet_names(path: Path) -> list[str]:
    names: list[str] = parquet.read_schema(path).names
    return names


def _parquet(path: Path, columns: list[str]) -> pd.DataFrame:
    table = parquet.read_table(path, columns=columns)

    # As objects: pandas would make floats of whole numbers with missing ones among them.
    cells = {name: pd.Series(table[name].to_pylist(), dtype=object) for name in columns}
    return pd.DataFrame(cells)


def _record_names(path: Path) -> list[str]:
    # Objects of JSON can differ in their keys: a dict keeps the order of the first occurrences.
    names: dict[str, None] = {}
    for record in _records(path):
        names |= dict.fromkeys(record)
    return list(names)


def _record_frame(path: Path, columns: list[str]) -> pd.DataFrame:
    rows = []
    for record in _records(path):
        rows.append([record.get(name) for name in columns])
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a CSV or TSV file, or the objects of a JSON or JSONL file."""
    kind = _kind(path)
    if kind in JSON_ENDINGS:
        yield from json_records(path)
        return
    with _open(path) as file:
        yield from _rows(file, path, "\t" if kind == ".tsv" else ",")


def json_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read the objects of a JSON file.

    Args:
        path: ``.jsonl`` or ``.ndjson`` with an object a line; ``.json`` with a list of objects, an
            object of objects or texts by id, or an object a line; packed as ``.gz``, ``.bz2`` or
            ``.zst`` or not.

    Raises:
        DataError: It is no JSON, or holds something else than objects.
        OSError, UnicodeError, pyarrow.ArrowException: It cannot be read.
    """
    with _open(path) as file:
        if _kind(path) != ".json":
            yield from _lines(file, path)
            return
        text = file.read()

    # Many .json files hold an object a line: the first line is an object of its own.
    first, _, rest = text.lstrip().partition("\n")
    if rest.strip() and first.rstrip().endswith("}") and _is_object(first):
        yield from _lines(text.splitlines(), path)
    else:
        yield from _elements(_json(text, str(path)), path)


def _open(path: Path) -> TextIOWrapper:
    stream = pyarrow.input_stream(str(path), compression="detect")

    # Windows programs put a mark in front of UTF-8; csv needs the line ends as they are.
    return TextIOWrapper(stream, encoding="utf-8-sig", newline="")


def _kind(path: Path) -> str:
    """Find the ending of a file's name in small letters, without the ending of its packing."""
    return ending_of(Path(path.name.lower()))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield _object(_json(line, place), place)


def _rows(file: IO[str], path: Path, separator: str) -> Iterator[dict[str, str]]:
    # Without strict a quotation mark that is never closed swallows the rest of the file.
    reader = csv.reader(file, delimiter=separator, strict=True)

    # Python refuses cells of more than 131,072 characters; its limit is a global, restored below.
    limit = csv.field_size_limit(2**31 - 1)

    try:
        names = next(reader, [])
        for row in reader:
            if row and len(row) != len(names):
                where = f"{path}, line {reader.line_num}"
                found = f"found {len(row)} columns, allowed are {len(names)} ({', '.join(names)})"
                raise DataError(
                    f"{where}: {found}; a text with the separator in it has to stand in quotation "
                    "marks"
                )
            if row:
                yield dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _elements(content: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list, or of an object by id.

    A text by id is an object with ``id`` and ``text``.
    """
    if isinstance(content, dict):
        for id_, value in content.items():
            record = value if isinstance(value, dict) else {"text": value}

            # The key goes last: it is the id even of an object with an "id" inside.
            yield {**record, "id": id_}
        return

    elements = content if isinstance(content, list) else [content]
    for number, value in enumerate(elements, 1):
        yield _object(value, f"{path}, element {number}")


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, place))
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        # Besides what is no JSON: numbers and lists beyond all measure.
        raise DataError(f"{place}: not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    result = dict(pairs)

    # By itself Python keeps the last of several values of one key, without a word.
    if len(result) < len(pairs):
        check_unique(pd.Series([name for name, _ in pairs]), place)
    return result


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(
            f"{place}: found {str(value)[:40]!r}, allowed is an object such as {{'id': 'a', "
            f"'text': 'b'}}"
        )
    return value


def _atomic_names(path: Path) -> list[str]:
    return [field.name for field in read_header(path)]


def _atomic(path: Path, columns: list[str]) -> pd.DataFrame:
    fields = [field for field in read_header(path) if field.name in columns]
    for field in fields:
        if field.type == "float_seq":
            raise DataError(
                f"{path}: the field '{field.name}' holds vectors (float_seq), allowed is text"
            )
    return read_frame(path, fields)
