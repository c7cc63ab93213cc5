"""Amazon Reviews 2023: the reviews or ratings of one category, and the metadata of its items."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError

from ...pipeline.raw import RawData
from ...readers.streams import find_file
from .product_metadata import metadata_fields
from .reviews import read_reviews

NAME = "amazon-2023"
"""Name on the command line and of the data set."""
ABOUT = "Amazon Reviews 2023: CATEGORY.jsonl or CATEGORY.csv, and meta_CATEGORY.jsonl; .gz or unpacked"
"""What the converter reads, in a line."""
LINK = "https://amazon-reviews-2023.github.io"
"""Where to download the data set."""
DEFAULTS: dict[str, Any] = {
    "min_rating": None,
    "k_core": 5,
    "keep_users": "interacted",
    "keep_items": "interacted",
}
"""Shared options that the papers say something about: every rating counts."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this converter."""
    text = "the category, as in the names of its files (default: %(default)s, as in the papers)"
    parser.add_argument("--category", metavar="CATEGORY", default="Video_Games", help=text)


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the downloaded files of a category.

    Args:
        input_path: The folder; of the reviews the first counts that is there: JSON lines, then ratings only.
        options: Values of what :func:`add_options` adds.

    Returns:
        One interaction for each review; the users have no fields.

    Raises:
        DataError: There are no reviews, or a file is not what it should be.
    """
    category = options.category
    path = find_file(input_path, f"{category}.jsonl", f"{category}.csv")
    if path is None:
        _refuse_category(input_path, category)
    metadata = find_file(input_path, f"meta_{category}.jsonl")
    notes = [f"The interactions are those of {path.name}."]
    if metadata is None:
        notes.append(f"There is no meta_{category}.jsonl: the items have no fields.")
    return RawData(read_reviews(path), item_fields=metadata_fields(metadata) if metadata else [], notes=notes)


def _refuse_category(folder: Path, category: str) -> NoReturn:
    found = sorted({path.name.split(".")[0] for kind in ("jsonl", "csv") for path in folder.glob(f"*.{kind}*")})
    categories = [name for name in found if not name.startswith("meta_")]
    there = f"; there are {', '.join(categories)}{nearest(category, categories)}" if categories else ""
    wanted = f"{category}.jsonl or {category}.csv, plain or .gz"
    raise DataError(f"--category: found {category!r}, but {folder} has no {wanted}{there}")
