"""Reading of the unpacked archive of MovieLens-1M."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from recbole_sibrar.errors import DataError

from ...pipeline.raw import RawData, column_field
from ...readers.entity_file import EntityFile
from ...readers.raw_tables import Table
from ...readers.raw_text import read_text

_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_USERS = ("user_id", "gender", "age", "occupation", "zip_code")
_MOVIES = ("item_id", "title", "genres")

_MOVIE_TYPES = {"title": "token_seq", "year": "float", "genres": "token_seq"}

# Toy Story (1995)
_TITLE = re.compile(r"(.*\S)\s*\((\d{4})\)")
_WORD = re.compile(r"\w[\w'&.-]*")


def read(input_path: Path, link: str) -> RawData:
    """Read the unpacked archive.

    Args:
        input_path: Folder with ``ratings.dat``, ``users.dat`` and ``movies.dat``.
        link: Address of the archive, for messages.

    Raises:
        DataError: A file is missing, or a line has another form than GroupLens describes.
    """
    # GroupLens describes the files in the archive's README: no header, columns between ::.
    inter = _interactions(_table(input_path / "ratings.dat", _RATINGS, link))
    users = _by_id(_table(input_path / "users.dat", _USERS, link))
    movies = _by_id(_table(input_path / "movies.dat", _MOVIES, link))
    n_undated = _parse_movies(movies)

    user_file = EntityFile("users.dat", is_table=True, read_ids=lambda: users.index)
    movie_file = EntityFile("movies.dat", is_table=True, read_ids=lambda: movies.index)

    # Ages and occupations are codes of groups in this data set, hence tokens.
    user_fields = [column_field(name, "token", users[name], user_file) for name in _USERS[1:]]
    item_fields = []
    for name, kind in _MOVIE_TYPES.items():
        item_fields.append(column_field(name, kind, movies[name], movie_file))

    notes = [f"{n_undated:,} titles in movies.dat do not end in a year."] if n_undated else []
    return RawData(inter, user_fields, item_fields, notes=notes)


def _table(path: Path, names: Sequence[str], link: str) -> Table:
    if not path.is_file():
        raise DataError(f"--input_path: there is no file {path}; unpack {link}")

    # GroupLens writes the titles, some with accents, in Latin-1.
    return read_text(path, "::", names, encoding="latin-1")


def _interactions(ratings: Table) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ratings.categories("user_id"),
            "item_id": ratings.categories("item_id"),
            "rating": ratings.numbers("rating"),
            "timestamp": ratings.numbers("timestamp"),
        }
    )


def _parse_movies(movies: pd.DataFrame) -> int:
    """Divide titles into words and years, and genres into labels.

    Returns:
        Number of titles without a year.
    """
    words = []
    years = []
    for title in movies["title"]:
        parts = _TITLE.fullmatch(title or "")
        words.append(_WORD.findall(parts[1] if parts else title or ""))
        years.append(float(parts[2]) if parts else float("nan"))

    movies["year"] = years
    movies["title"] = words
    movies["genres"] = [genres.split("|") if genres else [] for genres in movies["genres"]]
    return int(movies["year"].isna().sum())


def _by_id(table: Table) -> pd.DataFrame:
    """Make a frame of texts with the ids, each once, as index."""
    key = table.names[0]
    ids = table.categories(key)
    twice = pd.Series(ids.codes).duplicated().to_numpy()
    if twice.any():
        table.refuse(int(twice.argmax()), key, "each id once")

    # to_numpy, as pandas 3 would make NaN of the missing texts.
    columns = {name: table.texts(name).to_numpy() for name in table.names[1:]}
    return pd.DataFrame({**columns, key: list(ids)}, dtype=object).set_index(key)
