"""Reading of tables piece by piece: atomic files, CSV, Parquet and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from recbole_sibrar.errors import DataError, one_line
from recbole_sibrar.serving.bundle.manifest import SideSpec

__all__ = ["FORMATS", "read_pieces"]

FORMATS = (".item", ".user", ".tsv", ".csv", ".parquet", ".jsonl")
"""Suffixes of tables."""

_MISSING = ("", "NA", "N/A", "NULL", "null", "None", "NaN", "nan")
"""Cells of text files that count as missing."""


def read_pieces(
    path: Path, spec: SideSpec, rows: int = 8192
) -> Iterator[pa.Table | list[dict[str, Any]]]:
    """Read a table piece by piece.

    Args:
        path: The file; its suffix is one of :data:`FORMATS`.
        spec: Users or items that the table describes.
        rows: Number of rows at a time.

    Yields:
        Pieces that :class:`~recbole_sibrar.serving.recommender.Recommender` takes.

    Raises:
        DataError: The file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path}: found the suffix '{suffix}', allowed is {', '.join(FORMATS)}")
    try:
        if suffix == ".parquet":
            yield from _parquet(path, rows)
        elif suffix == ".jsonl":
            yield from _json_lines(path, rows)
        else:
            yield from _text(path, "," if suffix == ".csv" else "\t", rows)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or one_line(error, 200)})"
        ) from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({one_line(error, 200)})") from None


def _parquet(path: Path, rows: int) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows):
            yield pa.table(batch)


def _text(path: Path, separator: str, rows: int) -> Iterator[pa.Table]:
    """Read a file of text cells; those of an atomic file are never quoted."""
    # Arrow guesses types from the first block, and takes the id "007" for 7: all columns are named
    # beforehand, as texts. Some editors put a byte order mark first.
    with path.open("r", encoding="utf-8") as stream:
        header = stream.readline().rstrip("\r\n").lstrip("\ufeff")
    names = [name.strip('"') for name in header.split(separator)]

    quote = '"' if separator == "," else False
    parse_options = csv.ParseOptions(delimiter=separator, quote_char=quote)
    convert_options = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(_MISSING),
        strings_can_be_null=True,
    )

    reader = csv.open_csv(path, parse_options=parse_options, convert_options=convert_options)
    # Arrow's blocks are of bytes, not of rows.
    for batch in reader:
        for start in range(0, batch.num_rows, rows):
            yield pa.table(batch.slice(start, rows))


def _json_lines(path: Path, rows: int) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    with path.open("r", encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            piece.append(_object(path, number, line))
            if len(piece) == rows:
                yield piece
                piece = []
    if piece:
        yield piece


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: no JSON ({error})") from None
    if not isinstance(value, dict):
        raise DataError(
            f"{path}, line {number}: found {type(value).__name__}, allowed is an object"
        )
    return value
