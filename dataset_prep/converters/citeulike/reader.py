"""Reading of CiteULike-a (Wang, Chen and Li, IJCAI 2013)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...lists import numbered
from ...pipeline.raw import RawData
from .articles import article_fields, text_fields
from .numbered_lists import read_lines, read_lists
from .published_split import add_parts, find_split, parts_of

COUNTED = ("citations.dat", "item-tag.dat", "mult.dat")
"""Files with a line for each article; the first existing one tells the number of articles."""


def read(input_path: Path, split_path: Path | None, link: str) -> RawData:
    """Read the files.

    Args:
        input_path: Folder with ``users.dat``, and any of the other files.
        split_path: Folder of the published split; None for ``input_path``, if it has one.
        link: Address of the data set, for messages.

    Raises:
        DataError: A file is missing, or a line has another form.
    """
    path = input_path / "users.dat"
    if not path.is_file():
        raise DataError(f"--input_path: there is no file {path}; download {link}")

    # An incomplete split is refused before the lists are read.
    split = find_split(input_path, split_path)

    # Some articles may be in no library: their number is that of the lines of another file.
    n_articles = _count(input_path)
    inter, n_articles = _libraries(path, n_articles)
    notes: list[str] = []
    fields = article_fields(input_path, n_articles, notes)
    texts = text_fields(input_path, n_articles, notes)

    if split is not None:
        notes += add_parts(inter, split)
    return RawData(
        inter, item_fields=fields, notes=notes, texts={"item": texts}, parts=parts_of(inter)
    )


def _count(folder: Path) -> int | None:
    """Count the articles by the lines of a file; None without one."""
    for file in COUNTED:
        if (folder / file).is_file():
            return len(read_lines(folder / file))
    return None


def _libraries(path: Path, n_articles: int | None) -> tuple[pd.DataFrame, int]:
    """Read the articles of each user: the interactions, and the number of articles."""
    libraries = read_lists(path, n_articles)
    sizes = [len(articles) for articles in libraries]
    users = np.repeat(np.arange(len(libraries)), sizes)

    # The empty array gives a type to the items of no user at all.
    items = np.concatenate([*libraries, np.zeros(0, dtype=np.int64)])
    if n_articles is None:
        n_articles = int(items.max(initial=-1)) + 1

    columns = {
        "user_id": _ids(users, len(libraries)),
        "item_id": _ids(items, n_articles),
    }
    return pd.DataFrame(columns), n_articles


def _ids(codes: NDArray[np.int64], n: int) -> pd.Categorical:
    """Make a column of ids 0 to below ``n``: users and articles have no other names."""
    return pd.Categorical.from_codes(codes, categories=pd.Index(numbered(n), dtype=object))
