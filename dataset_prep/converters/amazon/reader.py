"""Reading of a category of Amazon Reviews 2023."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from recbole_sibrar.errors import DataError, nearest

from ...pipeline.raw import RawData
from ...readers.streams import find_file
from .product_metadata import metadata_fields
from .reviews import read_reviews


def read(input_path: Path, category: str) -> RawData:
    """Read the downloaded files of a category.

    Args:
        input_path: Folder of the files. The first existing file of reviews is used: JSON lines,
            then ratings only.
        category: The category, as in the names of its files.

    Returns:
        One interaction for each review. The users have no fields.

    Raises:
        DataError: There are no reviews, or a file has a wrong value.
    """
    path = find_file(input_path, f"{category}.jsonl", f"{category}.csv")
    if path is None:
        _refuse_category(input_path, category)

    metadata = find_file(input_path, f"meta_{category}.jsonl")
    notes = [f"The interactions are those of {path.name}."]
    if metadata is None:
        notes.append(f"There is no meta_{category}.jsonl: the items have no fields.")
    return RawData(
        read_reviews(path), item_fields=metadata_fields(metadata) if metadata else [], notes=notes
    )


def _refuse_category(folder: Path, category: str) -> NoReturn:
    found: set[str] = set()
    for path in [*folder.glob("*.jsonl*"), *folder.glob("*.csv*")]:
        name = path.name.split(".")[0]
        if not name.startswith("meta_"):
            found.add(name)

    there = ""
    if found:
        there = f"; there are {', '.join(sorted(found))}{nearest(category, sorted(found))}"
    wanted = f"{category}.jsonl or {category}.csv, plain or .gz"
    raise DataError(f"--category: found {category!r}, but {folder} has no {wanted}{there}")
