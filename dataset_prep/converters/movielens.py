"""MovieLens-1M: ratings of films by users with demographics, films with titles and genres."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_sibrar.data.atomic import DataError

from ..pipeline.raw import RawData, RawField, Values, others_left_out
from ..readers.entity_file import EntityFile
from ..readers.raw_tables import Table
from ..readers.raw_text import read_text

NAME = "ml-1m"
"""Name on the command line and of the data set."""
ABOUT = "MovieLens-1M: ratings.dat, users.dat, movies.dat"
"""What the converter reads, in a line."""
LINK = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
"""Where to download the data set."""
DEFAULTS: dict[str, Any] = {
    "min_rating": 3.0,
    "k_core": 5,
    "keep_users": "interacted",
    "keep_items": "interacted",
}
"""Shared options in which the papers differ from keeping everything."""

_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_USERS = ("user_id", "gender", "age", "occupation", "zip_code")
_MOVIES = ("item_id", "title", "genres")
_TITLE = re.compile(r"(.*\S)\s*\((\d{4})\)")
_WORD = re.compile(r"\w[\w'&.-]*")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The converter has no options but those that all share."""


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the unpacked archive.

    Args:
        input_path: Folder with ``ratings.dat``, ``users.dat`` and ``movies.dat``.
        options: Not used.

    Raises:
        DataError: A file is missing, or a line is not as GroupLens describes it.
    """
    ratings = _table(input_path / "ratings.dat", _RATINGS)
    inter = pd.DataFrame(
        {
            "user_id": ratings.categories("user_id"),
            "item_id": ratings.categories("item_id"),
            "rating": ratings.numbers("rating"),
            "timestamp": ratings.numbers("timestamp"),
        }
    )
    users = _by_id(_table(input_path / "users.dat", _USERS))
    movies = _by_id(_table(input_path / "movies.dat", _MOVIES))
    parts = [_TITLE.fullmatch(title or "") for title in movies["title"]]
    undated = sum(part is None for part in parts)
    movies["year"] = [float(part[2]) if part else float("nan") for part in parts]
    titles = [part[1] if part else title or "" for part, title in zip(parts, movies["title"], strict=True)]
    movies["title"] = [_WORD.findall(title) for title in titles]
    movies["genres"] = [genres.split("|") if genres else [] for genres in movies["genres"]]
    types = {"title": "token_seq", "year": "float", "genres": "token_seq"}
    user_file = EntityFile("users.dat", is_table=True, read_ids=lambda: users.index)
    movie_file = EntityFile("movies.dat", is_table=True, read_ids=lambda: movies.index)
    return RawData(
        inter,
        user_fields=[_field(name, "token", users, user_file) for name in _USERS[1:]],
        item_fields=[_field(name, kind, movies, movie_file) for name, kind in types.items()],
        notes=[f"{undated:,} titles in movies.dat do not end in a year." for _ in range(undated > 0)],
    )


def _table(path: Path, names: Sequence[str]) -> Table:
    if not path.is_file():
        raise DataError(f"--input_path: there is no file {path}; unpack {LINK}")
    return read_text(path, "::", names, encoding="latin-1")


def _by_id(table: Table) -> pd.DataFrame:
    """A table as texts by id."""
    key = table.names[0]
    ids = table.categories(key)
    twice = pd.Series(ids.codes).duplicated().to_numpy()
    if twice.any():
        table.wrong(int(twice.argmax()), key, "each id once")
    return pd.DataFrame(
        {name: table.texts(name).to_pandas() for name in table.names[1:]} | {key: list(ids)}, dtype=object
    ).set_index(key)


def _field(name: str, kind: str, frame: pd.DataFrame, file: EntityFile) -> RawField:
    notes: list[str] = []
    return RawField(name, kind, _reader(frame[name], file, notes), file.name, notes, file)


def _reader(values: pd.Series, file: EntityFile, notes: list[str]) -> Callable[[pd.Index], Values]:
    def read_values(ids: pd.Index) -> Values:
        file.add(values.index)
        file.close()
        notes.extend(others_left_out(file.name, int((~values.index.isin(ids)).sum()), len(values), "lines"))
        found = values.reindex(ids)
        return found if found.dtype.kind == "f" else found.where(found.notna(), None)

    return read_values
