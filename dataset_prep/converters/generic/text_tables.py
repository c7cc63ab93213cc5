"""Text tables of any form: the separator is inferred, and a wrong format is recognised."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_sibrar.errors import DataError

from ...readers.endings import JSON_ENDINGS, separator_of
from ...readers.raw_tables import Table
from ...readers.raw_text import read_text
from .column_names import plain
from .table_formats import TableFormat

GUESSES = (",", ";", "\t", "|")
"""Separators to try if the first line of a table lacks the usual one of its ending."""

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
"""First bytes of a file -> its probable kind, and advice."""

_LONGEST_HEADER = 2**20

_WORD = re.compile(r"[^\W\d][^\W\d_]*(?:[\s_-][^\W\d]+)*")


def read_text_table(path: Path, table: str, written: TableFormat) -> tuple[Table, list[str]]:
    """Read a text table.

    Args:
        path: The file.
        table: One of :data:`~.options.TABLES`, for messages.
        written: Its format.

    Returns:
        The table, and sentences on an inferred separator.

    Raises:
        DataError: The file cannot be read in this format; the message gives advice.
    """
    separator = written.separator
    notes: list[str] = []
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
    """Find the separator by the file's ending, unless the first line has another one only."""
    usual = separator_of(path, JSON_ENDINGS)
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            line = file.read(_LONGEST_HEADER).split(b"\n", 1)[0]
    except (OSError, pa.ArrowException):
        # The reading of the whole file reports it.
        return usual, []

    found = [guess for guess in GUESSES if guess.encode() in line]
    if usual.encode() in line or not found:
        return usual, []

    # Texts of a header can have commas: the most frequent sign separates.
    guess = max(found, key=lambda separator: line.count(separator.encode()))
    return guess, [
        f"{path.name}: the columns are separated by {guess!r}; --{table}_separator decides "
        "otherwise."
    ]


def _parse(path: Path, separator: str, written: TableFormat) -> Table:
    can_be_quoted = len(separator) == 1 and separator != written.quote
    quote = written.quote if can_be_quoted else None

    data = read_text(path, separator, written.names, written.encoding, quote, header=written.header)
    if quote and _has_marks(data, quote):
        _check_quotes(path, separator, written.encoding, quote)
    return data


def _check_no_header(data: Table) -> None:
    """Refuse a header as first line of data: it repeats names, or has a word above numbers.

    Raises:
        DataError: It is.
    """
    if len(data.data) < 2:
        return

    below = replace(data, data=data.data.slice(1))
    above_numbers = []
    repeated = []
    for name in data.names:
        word = str(data.data[name][0].as_py()).strip()
        if not _WORD.fullmatch(word):
            continue
        if _holds_numbers(below, name):
            above_numbers.append((name, word))
        if plain(word) == plain(name):
            repeated.append((name, word))

    # A single repeated name may be a value by chance.
    found = above_numbers or (repeated if len(repeated) > 1 else [])
    if found:
        name, word = found[0]
        raise DataError(
            f"{data.path}, line 1: found {word!r} in column {name}, which looks "
            "like a header; leave out the option that says that there is none"
        )


def _holds_numbers(data: Table, name: str) -> bool:
    parsed = data.parse_numbers(name)
    return not parsed.is_text.any() and not np.isnan(parsed.values).all()


def _has_marks(data: Table, quote: str) -> bool:
    """Find quotation marks or line breaks inside cells, as an open quotation mark leaves behind."""
    # A letter behind \ would be a class of characters for the regular expression.
    escape = "" if quote.isalnum() else "\\"
    marks = f"[\n{escape}{quote}]"
    columns = data.data.columns
    return any(pc.any(pc.match_substring_regex(column, marks)).as_py() for column in columns)


def _check_quotes(path: Path, separator: str, encoding: str, quote: str) -> None:
    """Refuse a quotation mark without its end, or with its end in the middle of a cell.

    Raises:
        DataError: There is one; the message names its line.
    """
    # Arrow reads such files without a word, up to the next mark somewhere below. Python's reader is
    # strict and slow, so that only suspicious files are read again. Its limit is a global.
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
                f"{path}, line {start}: found a quotation mark {quote} that is not closed at the "
                "end of its cell; allowed are cells without it, or inside a cell two for one"
            ) from None
        finally:
            csv.field_size_limit(limit)
            lines.detach()


def _hint(path: Path, table: str, written: TableFormat, separator: str) -> str:
    """Give advice on an unreadable file."""
    with path.open("rb") as file:
        start = file.read(4)

    # A file told to be UTF-16 rightly begins with its mark: the fault is another.
    is_utf_16 = written.encoding.lower().startswith("utf-16")
    for signature, advice in SIGNATURES.items():
        is_known = is_utf_16 and signature == start[:2]
        if start.startswith(signature) and not is_known:
            return f"; it begins like {advice}"

    quote = (
        f", --{table}_quote none if {written.quote} is no quotation mark" if written.quote else ""
    )
    encoding = f", --{table}_encoding latin-1 or another if it is not {written.encoding}"
    return f"; --{table}_separator if {separator!r} does not separate its columns{quote}{encoding}"
