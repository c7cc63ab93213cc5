"""The form of each table of the converter ``generic``: separator, encoding, quotation mark, header."""

from __future__ import annotations

import argparse
import csv
import re
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_sibrar.data.atomic import DataError

from ...readers.content import JSON_KINDS
from ...readers.raw_tables import MISSING_NUMBERS, SEPARATORS, Table, ending_of, read_parquet, separator_of
from ...readers.raw_text import read_text
from ...readers.record_tables import read_records_table
from .column_names import plain

TABLES = ("interactions", "users", "items")
"""The tables, as on the command line."""

GUESSES = (",", ";", "\t", "|")
"""Separators that are tried where the first line of a table lacks that of its ending."""

_LONGEST_HEADER = 2**20

_WORD = re.compile(r"[^\W\d][^\W\d_]*(?:[\s_-][^\W\d]+)*")

SIGNATURES = {
    b"\xff\xfe": "UTF-16 text: --encoding utf-16",
    b"\xfe\xff": "UTF-16 text: --encoding utf-16",
    b"\x1f\x8b": "a gzip file: let its name end in .gz",
    b"BZh": "a bzip2 file: let its name end in .bz2",
    b"PK": "a zip file or an Excel table: unpack it, or save it as CSV",
    b"PAR1": "a Parquet file: let its name end in .parquet",
    b"<": "HTML or XML: download the file itself",
    b"{": "JSON: let its name end in .jsonl or .json",
    b"[": "JSON: let its name end in .json",
}
"""First bytes of a file -> what it probably is, and what to do."""


@dataclass(frozen=True)
class TableFormat:
    """How a table is written."""

    separator: str | None
    """What separates columns; None for that of the file's ending."""
    encoding: str
    """Encoding of a text file."""
    quote: str | None
    """Quotation mark of cells with separators in them; None if there is none."""
    names: tuple[str, ...] | None
    """Names of the columns of a table without a header; None if it has one, or if columns are numbered."""
    header: bool
    """Whether the first line names the columns."""
    missing: frozenset[str]
    """Cells that stand for a missing value."""
    decimal: str
    """Decimal point of numbers."""


def add_options(parser: argparse._ArgumentGroup) -> None:
    """Add the options for all tables and for each."""
    add = parser.add_argument
    endings = ", ".join(f"{value!r} for {ending}" for ending, value in SEPARATORS.items())
    add("--separator", metavar="TEXT", help=f"separates columns, such as ';' or '\\t' (default: {endings})")
    add("--encoding", metavar="NAME", help="encoding of text files, such as latin-1 (default: utf-8)")
    quote = 'quotation mark of cells with separators in them, or none (default: " where a separator is one character)'
    add("--quote", metavar="MARK", help=quote)
    header = "text files begin with data, not with names of columns; columns are named 1, 2, 3, ..."
    add("--no_header", action="store_true", help=header)
    add("--decimal", metavar="MARK", default=".", help="decimal point of numbers in texts, . or , (default: .)")
    missing = (
        "cells that stand for a missing value in every column, separated by commas, such as NULL,NA; in columns of "
    )
    add("--missing", metavar="A,B", default="", help=f"{missing}numbers such words are missing anyway")
    for table in TABLES:
        add(f"--{table}_separator", metavar="TEXT", help=f"--separator of the {table}")
        add(f"--{table}_encoding", metavar="NAME", help=f"--encoding of the {table}")
        add(f"--{table}_quote", metavar="MARK", help=f"--quote of the {table}")
        names = f"names of the columns of the {table}, whose file begins with data"
        add(f"--{table}_header", metavar="A,B,C", help=names)
        add(f"--{table}_no_header", action="store_true", help=f"--no_header of the {table}")


def check_options(options: argparse.Namespace) -> None:
    """Raise a :class:`DataError` for values that are not allowed, of tables that are not given as well."""
    for table in TABLES:
        _format(table, options)


def read_table(path: Path, table: str, options: argparse.Namespace) -> tuple[Table, list[str]]:
    """Read a table.

    Args:
        path: The file: CSV, TSV, text with any separator, JSON lines or Parquet.
        table: One of :data:`TABLES`.
        options: What :func:`add_options` adds.

    Returns:
        The table, and sentences on what was inferred.

    Raises:
        DataError: The file cannot be read, or an option has a value that is not allowed.
    """
    written = _format(table, options)
    if not path.is_file():
        raise DataError(f"--{table}: there is no file {path}")

    ending = ending_of(path)
    if ending == ".parquet" or (ending in JSON_KINDS and written.separator is None):
        data = read_parquet(path) if ending == ".parquet" else read_records_table(path)
        notes: list[str] = []
    else:
        data, notes = _read_text(path, table, written)
    words = {"missing": written.missing, "missing_numbers": MISSING_NUMBERS, "decimal": written.decimal}
    return replace(data, **words), notes  # type: ignore[arg-type]


def _format(table: str, options: argparse.Namespace) -> TableFormat:
    given = {name: _given(table, name, options) for name in ("separator", "encoding", "quote")}
    separator = given["separator"]
    if separator is not None:
        separator = separator.replace("\\t", "\t")
        if not separator or set(separator) & set('"\r\n') or not separator.isascii():
            raise DataError(
                f"{_key(table, 'separator', options)}: found {separator!r}, allowed are ASCII characters but quotes "
                "and line breaks"
            )
    quote = given["quote"]
    if quote not in (None, "none") and (len(quote) != 1 or not quote.isascii() or quote in "\r\n"):
        raise DataError(f"{_key(table, 'quote', options)}: found {quote!r}, allowed is one ASCII character, or none")
    if quote is not None and quote == separator:
        raise DataError(f"{_key(table, 'quote', options)}: found {quote!r}, which is the separator already")
    if options.decimal not in (".", ","):
        raise DataError(f"--decimal: found {options.decimal!r}, allowed is . or ,")

    names = getattr(options, f"{table}_header")
    return TableFormat(
        separator=separator,
        encoding=_encoding(given["encoding"], _key(table, "encoding", options)),
        quote='"' if quote is None else None if quote == "none" else quote,
        names=None if names is None else _header_names(table, names),
        header=not (options.no_header or getattr(options, f"{table}_no_header")),
        missing=frozenset(word for word in options.missing.split(",") if word),
        decimal=options.decimal,
    )


def _given(table: str, name: str, options: argparse.Namespace) -> Any:
    own = getattr(options, f"{table}_{name}")
    return getattr(options, name) if own is None else own


def _key(table: str, name: str, options: argparse.Namespace) -> str:
    """The option that a value of a format comes from."""
    return f"--{name}" if getattr(options, f"{table}_{name}") is None else f"--{table}_{name}"


def _encoding(name: str | None, key: str) -> str:
    if name is None:
        return "utf-8"
    try:
        "id".encode(name).decode(name)
    except (LookupError, UnicodeError, ValueError):
        raise DataError(f"{key}: found '{name}', allowed is an encoding such as utf-8") from None
    return name


def _header_names(table: str, text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise DataError(f"--{table}_header: found '{text}', allowed are different names, separated by commas")
    return tuple(names)


def _read_text(path: Path, table: str, written: TableFormat) -> tuple[Table, list[str]]:
    separator, notes = written.separator, list[str]()
    if separator is None:
        separator, notes = _separator(path, table)
    try:
        data = _parse(path, separator, written)
    except DataError as error:
        raise DataError(f"{error}{_hint(path, table, written, separator)}") from None
    if written.names or not written.header:
        _check_no_header(data)
    return data, notes


def _separator(path: Path, table: str) -> tuple[str, list[str]]:
    """The separator of columns: by the ending of the file, unless its first line has another separator only."""
    usual = separator_of(path, JSON_KINDS)
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            line = file.read(_LONGEST_HEADER).split(b"\n", 1)[0]
    except (OSError, pa.ArrowException):  # said when the whole is read
        return usual, []
    found = [guess for guess in GUESSES if guess.encode() in line]
    if usual.encode() in line or not found:
        return usual, []

    guess = max(found, key=lambda separator: line.count(separator.encode()))
    return guess, [f"{path.name}: the columns are separated by {guess!r}; --{table}_separator decides otherwise."]


def _parse(path: Path, separator: str, written: TableFormat) -> Table:
    quote = written.quote if len(separator) == 1 and separator != written.quote else None
    data = read_text(path, separator, written.names, written.encoding, quote, header=written.header)
    if quote and _has_marks(data, quote):
        _check_quotes(path, separator, written.encoding, quote)
    return data


def _check_no_header(data: Table) -> None:
    """Refuse a first line of data that is a header: it repeats names, or has a word above numbers.

    Raises:
        DataError: It is.
    """
    if len(data.data) < 2:
        return
    first = {name: str(data.data[name][0].as_py()).strip() for name in data.names}
    words = [name for name, cell in first.items() if _WORD.fullmatch(cell)]
    repeated = [name for name in words if plain(first[name]) == plain(name)]
    below = replace(data, data=data.data.slice(1))
    above_numbers = [name for name in words if _holds_numbers(below, name)]
    found = above_numbers or (repeated if len(repeated) > 1 else [])
    if found:
        raise DataError(
            f"{data.path}, line 1: found {first[found[0]]!r} in column {found[0]}, which looks like a header; leave "
            "out the option that says that there is none"
        )


def _holds_numbers(data: Table, name: str) -> bool:
    parsed = data.parse_numbers(name)
    return not parsed.is_text.any() and not np.isnan(parsed.values).all()


def _has_marks(data: Table, quote: str) -> bool:
    """Tell whether a cell has a quotation mark or a line break inside, as an open quotation mark leaves behind."""
    marks = f"[\n{'' if quote.isalnum() else chr(92)}{quote}]"
    return any(pc.any(pc.match_substring_regex(column, marks)).as_py() for column in data.data.columns)


def _check_quotes(path: Path, separator: str, encoding: str, quote: str) -> None:
    """Refuse a quotation mark that is never closed, or that is closed in the middle of a cell.

    Arrow reads such files without a word, up to the next mark somewhere below.

    Raises:
        DataError: There is one; the message names its line.
    """
    limit = csv.field_size_limit(2**31 - 1)
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
        reader = csv.reader(lines, delimiter=separator, quotechar=quote, strict=True)
        start = 1
        try:
            for _ in reader:
                start = reader.line_num + 1
        except csv.Error:
            raise DataError(
                f"{path}, line {start}: found a quotation mark {quote} that is not closed at the end of its cell; "
                "allowed are cells without it, or inside a cell two for one"
            ) from None
        finally:
            csv.field_size_limit(limit)
            lines.detach()


def _hint(path: Path, table: str, written: TableFormat, separator: str) -> str:
    """Advice on a file that cannot be read."""
    with path.open("rb") as file:
        start = file.read(4)
    for signature, advice in SIGNATURES.items():
        if start.startswith(signature) and not (
            signature == start[:2] and written.encoding.lower().startswith("utf-16")
        ):
            return f"; it begins like {advice}"

    quote = f", --{table}_quote none if {written.quote} is no quotation mark" if written.quote else ""
    encoding = f", --{table}_encoding latin-1 or another if it is not {written.encoding}"
    return f"; --{table}_separator if {separator!r} does not separate its columns{quote}{encoding}"
