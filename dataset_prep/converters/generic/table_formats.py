"""Format of each table of the converter ``generic``: separator, encoding, quotes, header."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from recbole_sibrar.errors import DataError

from ...lists import first_repeated, parts_of
from .options import TABLES


@dataclass(frozen=True)
class TableFormat:
    """Format of a table."""

    separator: str | None
    """Separator of columns; None for the one of the file's ending."""
    encoding: str
    """Encoding of a text file."""
    quote: str | None
    """Quotation mark of cells with separators in them; None if there is none."""
    names: tuple[str, ...] | None
    """Names of the columns of a table without a header.

    None if it has one, or if the columns are numbered.
    """
    header: bool
    """True if the first line names the columns."""
    missing: frozenset[str]
    """Cells with a missing value."""
    decimal: str
    """Decimal point of numbers."""


def check_options(options: argparse.Namespace) -> None:
    """Check the options of all tables, given or not.

    Raises:
        DataError: One has a wrong value.
    """
    for table in TABLES:
        format_of(table, options)


def format_of(table: str, options: argparse.Namespace) -> TableFormat:
    """Make the format of a table of its own options and of those for all tables.

    Args:
        table: One of :data:`~.options.TABLES`.
        options: Options of the converter.

    Raises:
        DataError: An option has a wrong value.
    """
    # One sign cannot divide cells and hold them together.
    quote = _quote(table, options)
    separator = _separator(table, options)
    if quote is not None and quote == separator:
        raise DataError(
            f"{_key(table, 'quote', options)}: found {quote!r}, which is the separator already"
        )
    if options.decimal not in (".", ","):
        raise DataError(f"--decimal: found {options.decimal!r}, allowed is . or ,")

    mark = '"' if quote is None else quote
    names = getattr(options, f"{table}_header")
    is_headless = options.no_header or getattr(options, f"{table}_no_header")

    # Empty cells are missing anyway.
    missing = frozenset(options.missing.split(",")) - {""}
    return TableFormat(
        separator=separator,
        encoding=_encoding(table, options),
        quote=None if mark == "none" else mark,
        names=None if names is None else _header_names(table, names),
        header=not is_headless,
        missing=missing,
        decimal=options.decimal,
    )


def _given(table: str, name: str, options: argparse.Namespace) -> str | None:
    """Get the value of a table's own option, or of the option for all tables."""
    own: str | None = getattr(options, f"{table}_{name}")
    common: str | None = getattr(options, name)
    return common if own is None else own


def _key(table: str, name: str, options: argparse.Namespace) -> str:
    """Name the option behind :func:`_given`."""
    return f"--{name}" if getattr(options, f"{table}_{name}") is None else f"--{table}_{name}"


def _separator(table: str, options: argparse.Namespace) -> str | None:
    given = _given(table, "separator", options)
    if given is None:
        return None

    # A shell passes \t as two characters; Arrow takes separators of ASCII only.
    separator = given.replace("\\t", "\t")
    if not separator or set(separator) & set('"\r\n') or not separator.isascii():
        raise DataError(
            f"{_key(table, 'separator', options)}: found {separator!r}, allowed are ASCII "
            "characters but quotes and line breaks"
        )
    return separator


def _quote(table: str, options: argparse.Namespace) -> str | None:
    quote = _given(table, "quote", options)
    if quote is None or quote == "none":
        return quote

    if len(quote) != 1 or not quote.isascii() or quote in "\r\n":
        raise DataError(
            f"{_key(table, 'quote', options)}: found {quote!r}, allowed is one ASCII character, "
            "or none"
        )
    return quote


def _encoding(table: str, options: argparse.Namespace) -> str:
    name = _given(table, "encoding", options)
    if name is None:
        return "utf-8"

    # Some codecs, such as base64, are none of texts.
    try:
        "id".encode(name).decode(name)
    except (LookupError, UnicodeError, ValueError):
        key = _key(table, "encoding", options)
        raise DataError(f"{key}: found '{name}', allowed is an encoding such as utf-8") from None
    return name


def _header_names(table: str, text: str) -> tuple[str, ...]:
    names = parts_of(text)
    if "" in names or first_repeated(names) is not None:
        raise DataError(
            f"--{table}_header: found '{text}', allowed are different names, separated by commas"
        )
    return tuple(names)
