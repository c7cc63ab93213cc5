"""Reviews of Amazon Reviews 2023: JSON lines with texts, or a table of ratings only, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...readers.json_lines import finite_number, read_records, refuse_value
from ...readers.pairs import Codes
from ...readers.stream_tables import ID, open_table, read_rows

RATINGS = {"user_id": ID, "parent_asin": ID, "rating": pa.float64(), "timestamp": pa.int64()}
"""Columns of the table of ratings; the records of the JSON lines have the same among others."""

REVIEWS_PER_BATCH = 1 << 18
"""Number of reviews in memory as Python objects at a time."""

Review = tuple[str, str, float, float]
Part = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def read_reviews(path: Path) -> pd.DataFrame:
    """Read all reviews of a category.

    Args:
        path: ``<category>.jsonl`` or ``<category>.csv``, plain or compressed.

    Returns:
        ``user_id``, ``item_id`` (the ``parent_asin``, as in the metadata), ``rating`` and
        ``timestamp`` in seconds since 1970, a row for each review; a user may have reviewed an item
        several times.

    Raises:
        DataError: The file has a wrong value, or has no reviews.
    """
    users = Codes()
    items = Codes()
    # The file may be compressed, with a second suffix.
    read_parts = _table_parts if ".csv" in path.suffixes else _json_parts
    parts = list(read_parts(path, users, items))
    if not len(users):
        raise DataError(f"{path}: there are no reviews")

    user_codes, item_codes, ratings, milliseconds = zip(*parts, strict=True)
    columns = {
        "user_id": users.categorical(np.concatenate(user_codes)),
        "item_id": items.categorical(np.concatenate(item_codes)),
        "rating": np.concatenate(ratings),
        "timestamp": np.concatenate(milliseconds) / 1000,
    }

    # copy=False: the columns of 10**8 reviews need gigabytes.
    return pd.DataFrame(columns, copy=False)


def _table_parts(path: Path, users: Codes, items: Codes) -> Iterator[Part]:
    table = open_table(path, RATINGS, separator=",")
    for block in read_rows(path):
        rows = table.parse(block)
        ratings = rows["rating"].to_numpy()
        if not np.isfinite(ratings).all():
            row = int(np.argmin(np.isfinite(ratings)))
            table.refuse(block, row, "rating", ratings[row], "a finite number")
        codes = users.number_column(rows["user_id"]), items.number_column(rows["parent_asin"])
        yield *codes, ratings, rows["timestamp"].to_numpy()


def _json_parts(path: Path, users: Codes, items: Codes) -> Iterator[Part]:
    for reviews in _batches(_checked(path)):
        user_ids, item_ids, ratings, timestamps = zip(*reviews, strict=True)
        yield (
            users.number(user_ids),
            items.number(item_ids),
            np.array(ratings),
            np.array(timestamps),
        )


def _batches(reviews: Iterator[Review]) -> Iterator[list[Review]]:
    while batch := list(islice(reviews, REVIEWS_PER_BATCH)):
        yield batch


def _checked(path: Path) -> Iterator[Review]:
    for line, record in read_records(path):
        user_id = _text(path, line, record, "user_id")

        # Variants of a product have asins of their own; the metadata knows the parent's.
        item_id = _text(path, line, record, "parent_asin")
        rating = _number(path, line, record, "rating")
        timestamp = _number(path, line, record, "timestamp")
        yield user_id, item_id, rating, timestamp


def _text(path: Path, line: int, record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        refuse_value(path, line, key, value, "a text that is not empty")
    return value


def _number(path: Path, line: int, record: dict[str, Any], key: str) -> float:
    value = finite_number(record.get(key))
    if value is None:
        refuse_value(path, line, key, record.get(key), "a finite number")
    return value
