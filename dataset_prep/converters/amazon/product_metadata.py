"""Items of Amazon Reviews 2023: the fields of their metadata."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ...pipeline.raw import RawField
from ...readers.entity_file import EntityFile
from ...readers.json_lines import finite_number, read_records, refuse_value

TYPES = {
    "title": "token",
    "description": "token",
    "categories": "token_seq",
    "store": "token",
    "price": "float",
    "main_category": "token",
}
"""Fields of the items.

``average_rating`` and ``rating_number`` are none: they were computed with the interactions that a
model is tested on.
"""

# A comma divides thousands: 1,299.00.
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


def metadata_fields(path: Path) -> list[RawField]:
    """Make the fields of ``meta_<category>.jsonl``. One pass reads all of them.

    Args:
        path: The file, plain or compressed.
    """
    metadata = _Metadata(path)
    return [metadata.field(name, kind) for name, kind in TYPES.items()]


def parse_price(value: object) -> float | None:
    """Parse a price of the metadata; None for a value without one.

    A text with exactly one number, such as ``from 12.99`` or ``$1,299.00``, is that number; any
    other text, such as ``—`` or a range, is no price.
    """
    if isinstance(value, str):
        # Two numbers are a range, such as 9.99 - 19.99.
        numbers = _NUMBER.findall(value)
        return float(numbers[0].replace(",", "")) if len(numbers) == 1 else None
    return finite_number(value)


class _Metadata:
    """The file, and its values for the items of the last request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: pd.Index | None = None
        self._values: dict[str, list[Any]] = {}
        self._file = EntityFile(path.name, is_table=True, read_ids=self._all_ids)

    def field(self, name: str, kind: str) -> RawField:
        notes: list[str] = []

        def read(ids: pd.Index) -> pd.Series:
            # The first field reads the file for all of them.
            if self._ids is None or not self._ids.equals(ids):
                notes.extend(self._read(ids))

            values = self._values[name]
            if name == "price":
                notes.extend(_price_notes(self._path.name, values))
                values = [parse_price(value) for value in values]
            return pd.Series(values, dtype=float if kind == "float" else object)

        return RawField(name, kind, read, self._path.name, notes, self._file)

    def _all_ids(self) -> pd.Index:
        ids = [_id(self._path, line, record) for line, record in read_records(self._path)]
        return pd.Index(ids, dtype=object)

    def _read(self, ids: pd.Index) -> list[str]:
        """Read the first line of each item, and return sentences about skipped lines."""
        rows = dict(zip(ids, range(len(ids)), strict=True))
        self._values = {}
        for name, kind in TYPES.items():
            self._values[name] = [[] if kind == "token_seq" else None for _ in ids]

        left = set(rows)
        found: list[str] = []
        n_others = 0
        n_repeated = 0

        for line, record in read_records(self._path):
            item = _id(self._path, line, record)
            found.append(item)

            # The values of other items may be wrong: they are not looked at.
            if item in left:
                left.remove(item)
                for name, parse in PARSERS.items():
                    self._values[name][rows[item]] = parse(self._path, line, name, record.get(name))
            else:
                n_repeated += item in rows
                n_others += item not in rows

        self._file.add(found)
        self._file.close()
        self._ids = ids
        file = self._path.name
        notes = []
        if left:
            notes.append(f"{file}: {len(left)} items have no metadata; their fields are missing.")
        if n_others:
            notes.append(
                f"{file}: {n_others} lines were left out: no interaction of their items is kept."
            )
        if n_repeated:
            notes.append(
                f"{file}: {n_repeated} lines are of an item that has a line already; the first "
                "counts."
            )
        return notes


def _id(path: Path, line: int, record: dict[str, Any]) -> str:
    item = record.get("parent_asin")
    if not isinstance(item, str):
        refuse_value(path, line, "parent_asin", item, "a text")
    return item


def _price_notes(source: str, values: list[Any]) -> list[str]:
    prices = [parse_price(value) for value in values if isinstance(value, str)]
    n_missing = prices.count(None)
    n_read = len(prices) - n_missing

    notes = []
    if n_read:
        notes.append(f"{source}: {n_read} prices that are texts are read as a number.")
    if n_missing:
        notes.append(f"{source}: {n_missing} prices that are texts are missing.")
    return notes


def _text(path: Path, line: int, key: str, value: object) -> str | None:
    if not (value is None or isinstance(value, str)):
        refuse_value(path, line, key, value, "a text or null")
    return value or None


def _texts(path: Path, line: int, key: str, value: object) -> list[str]:
    if value is None:
        return []

    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        refuse_value(path, line, key, value, "a list of texts")
    return value


def _joined(path: Path, line: int, key: str, value: object) -> str | None:
    # A description is a list of paragraphs.
    return " ".join(_texts(path, line, key, value)) or None


def _price(path: Path, line: int, key: str, value: object) -> object:
    if not (value is None or isinstance(value, str | int | float)):
        refuse_value(path, line, key, value, "a number, a text or null")

    # As it is: the report counts the texts among the prices.
    return value


PARSERS: dict[str, Callable[[Path, int, str, object], Any]] = {
    "title": _text,
    "description": _joined,
    "categories": _texts,
    "store": _text,
    "price": _price,
    "main_category": _text,
}
"""Field -> parser of its values."""
