"""Fields of the articles of CiteULike-a: tags, citations, words, titles and abstracts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_sibrar.errors import DataError

from ...lists import numbered
from ...pipeline.raw import RawField, column_field
from ...readers.entity_file import EntityFile
from .numbered_lists import read_lines, read_lists

TEXT_COLUMNS = {"raw.title": "title", "raw.abstract": "abstract"}
"""Column of ``raw-data.csv`` -> name of its field."""

_ID = "doc.id"

# R writes NA for a missing text.
_MISSING = ("", "NA")

_ENCODING = "latin-1"


def article_fields(folder: Path, n_articles: int, notes: list[str]) -> list[RawField]:
    """Make the fields of the existing files: tags, citations, and words of title and abstract.

    Args:
        folder: Folder of the files.
        n_articles: Number of the articles; each file has a line for each.
        notes: Receives a sentence on missing files.

    Raises:
        DataError: A file has another number of lines, or a wrong entry.
    """
    sources = {
        "tags": ("item-tag.dat", "tags.dat"),
        "citations": ("citations.dat", None),
        "words": ("mult.dat", "vocabulary.dat"),
    }
    fields = []
    for field, (file, names) in sources.items():
        path = folder / file
        if not path.is_file():
            notes.append(f"There is no {file}: the articles have no {field}.")
            continue

        # Without a file of names the numbers are those of articles.
        labels = numbered(n_articles) if names is None else _names(folder / names, file)
        limit = len(labels)
        lists = read_lists(path, limit, counted=field == "words")
        if len(lists) != n_articles:
            raise DataError(
                f"{path}: found {len(lists)} lines, allowed are {n_articles}, one for each article"
            )

        label_of_number = np.array(labels, dtype=object)
        cells = [label_of_number[numbers].tolist() for numbers in lists]
        fields.append(_field(field, "token_seq", cells, file))
    return fields


def text_fields(folder: Path, n_articles: int, notes: list[str]) -> list[RawField]:
    """Make the texts of ``raw-data.csv`` for ``--encode``: titles and abstracts.

    Args:
        folder: Folder of the file; without it there are no texts.
        n_articles: Number of the articles.
        notes: Receives a sentence on a missing file.

    Raises:
        DataError: The file has other columns, or rows of other articles.
    """
    path = folder / "raw-data.csv"
    if not path.is_file():
        notes.append("There is no raw-data.csv: the articles have no texts to encode.")
        return []

    # Not strict: the texts have quotation marks of all kinds inside.
    rows = list(csv.reader(_csv_lines(path)))
    header = rows[0] if rows else []
    wanted = (_ID, *TEXT_COLUMNS)
    for column in wanted:
        if column not in header:
            raise DataError(
                f"{path}, row 1: found the columns {', '.join(header)}, allowed are "
                f"{', '.join(wanted)}"
            )

    articles = rows[1:]
    _check_rows(path, articles, header, n_articles)
    fields = []
    for column, name in TEXT_COLUMNS.items():
        place = header.index(column)
        texts = [_text(row[place]) for row in articles]
        fields.append(_field(name, "token", texts, path.name))
    return fields


def _csv_lines(path: Path) -> list[str]:
    """Read the lines of a CSV file in UTF-8 or else Latin-1.

    They keep their ends, since cells can have line breaks.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode(_ENCODING)
    return text.splitlines(keepends=True)


def _check_rows(
    path: Path, rows: Sequence[Sequence[str]], header: Sequence[str], n_articles: int
) -> None:
    """Check that row n is the one of article n; the files of lists have no other ids."""
    place = header.index(_ID)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(
                f"{path}, row {number + 1}: found {len(row)} columns, allowed are {len(header)}"
            )
        if row[place] != str(number):
            raise DataError(
                f"{path}, row {number + 1}, column {_ID}: found '{row[place]}', allowed is {number}"
            )
    if len(rows) != n_articles:
        raise DataError(
            f"{path}: found {len(rows)} articles, allowed are {n_articles}, as in the other files"
        )


def _names(path: Path, file: str) -> list[str]:
    """Read the names of tags or words, one a line."""
    if not path.is_file():
        raise DataError(
            f"--input_path: there is no file {path}, the names of the numbers in {file}"
        )
    return read_lines(path, _ENCODING)


def _field(name: str, kind: str, cells: Sequence[object], file: str) -> RawField:
    """Make a field of a list with a value for each article, in their order."""
    values = pd.Series(cells, index=numbered(len(cells)), dtype=object)
    entities = EntityFile(file, is_table=True, read_ids=lambda: values.index)
    return column_field(name, kind, values, entities)


def _text(cell: str) -> str | None:
    return None if cell.strip() in _MISSING else cell
