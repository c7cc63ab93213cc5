"""Arguments of the commands that use a portable model."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_sibrar.errors import refuse

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_items", "add_k", "add_model_folder", "add_output", "names_of", "positive", "show"]


def add_model_folder(parser: argparse.ArgumentParser) -> None:
    """Add the portable model."""
    parser.add_argument(
        "model", metavar="NAME.sibrar", help="portable model, written by recbole-sibrar export"
    )


def add_items(parser: argparse.ArgumentParser) -> None:
    """Add known items, and a table of new ones."""
    parser.add_argument("names", metavar="ITEM", nargs="*", help="id of a known item")
    parser.add_argument(
        "--items", metavar="FILE", help="table with new items (.item, .tsv, .csv, .parquet, .jsonl)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the file of a table of results."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="table to write (.parquet, .csv, .jsonl); without it the table is shown",
    )


def add_k(parser: argparse.ArgumentParser, default: str, about: str) -> None:
    """Add the number of results."""
    parser.add_argument("--k", default=default, help=f"{about} (default: %(default)s)")


def positive(option: str, text: str) -> int:
    """Read a positive integer.

    Raises:
        ConfigError: It is none.
    """
    # isdigit alone takes digits of other scripts, and signs such as superscripts.
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        refuse(option, text, "a positive integer")
    return int(text)


def names_of(text: str | None) -> list[str] | None:
    """Read names separated by commas; None for none."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def show(tables: Iterable[pd.DataFrame], output: str | None) -> None:
    """Print tables as one, or write them to a file.

    Raises:
        DataError: The file cannot be written.
    """
    if output is not None:
        from recbole_sibrar.serving.batch.writing import table_writer

        # Table by table: all of them together may not fit into memory.
        with table_writer(Path(output)) as write:
            for table in tables:
                write(table)
        print(f"written: {output}")  # noqa: T201
        return

    for table in tables:
        print(table.to_string(index=False))  # noqa: T201
