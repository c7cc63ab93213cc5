from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.converters import CONVERTERS

FILES = {
    "ratings.dat": ["1::10::5::978300760", "2::10::3::978302109", "1::20::1::978301968"],
    "users.dat": ["1::F::1::10::48067", "2::M::56::16::70072", "3::M::25::15::55117"],
    "movies.dat": [
        "10::Misérables, Les (1995)::Drama|Musical",
        "20::Who's That? (2: Part II) (1998)::Children's",
        "30::Untitled::Film-Noir",
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, lines in FILES.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return tmp_path


def test_reads_the_files_of_grouplens(folder: Path) -> None:
    raw = CONVERTERS["ml-1m"].read(folder, argparse.Namespace())
    rows = raw.inter.astype({"user_id": str, "item_id": str}).to_numpy().tolist()
    assert rows == [["1", "10", 5, 978300760], ["2", "10", 3, 978302109], ["1", "20", 1, 978301968]]
    ids = pd.Index(["20", "10", "30", "99"])
    title, year, genres = (field.read(ids) for field in raw.item_fields)
    assert list(title)[:3] == [
        ["Who's", "That", "2", "Part", "II"],
        ["Misérables", "Les"],
        ["Untitled"],
    ]
    np.testing.assert_array_equal(year, [1998, 1995, np.nan, np.nan])
    assert list(genres)[:3] == [["Children's"], ["Drama", "Musical"], ["Film-Noir"]]
    assert not title.iloc[3]
    assert not genres.iloc[3]
    users = {field.name: list(field.read(pd.Index(["2", "9"]))) for field in raw.user_fields}
    assert users == {
        "gender": ["M", None],
        "age": ["56", None],
        "occupation": ["16", None],
        "zip_code": ["70072", None],
    }
    assert raw.notes == ["1 titles in movies.dat do not end in a year."]


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (
            "ratings.dat",
            2,
            "2::10::3",
            r"ratings.dat, line 2: found 3 columns, allowed are 4 separated by '::'",
        ),
        (
            "ratings.dat",
            3,
            "1::20::good::1",
            r"ratings.dat, line 3, column rating: found 'good', allowed is a finite n",
        ),
        (
            "ratings.dat",
            2,
            "1::20::1::inf",
            r"ratings.dat, line 2, column timestamp: found 'inf', allowed is a finite",
        ),
        (
            "ratings.dat",
            2,
            "::10::3::1",
            r"ratings.dat, line 2, column user_id: found '', allowed is an id",
        ),
        ("ratings.dat", 2, "", r"ratings.dat, line 2, column user_id: found '', allowed is an id"),
        (
            "users.dat",
            3,
            "1::M::25::15::55117",
            r"users.dat, line 3, column user_id: found '1', allowed is each id once",
        ),
        (
            "users.dat",
            1,
            "1::F::1::10",
            r"users.dat, line 1: found 4 columns|users.dat, line 2: found 5 columns",
        ),
        (
            "movies.dat",
            2,
            "20::A :: B (1998)::Drama",
            r"movies.dat, line 2: found 4 columns, allowed are 3",
        ),
    ],
)
def test_a_wrong_line_is_named(folder: Path, name: str, line: int, text: str, message: str) -> None:
    lines = [*FILES[name]]
    lines[line - 1] = text
    (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    with pytest.raises(DataError, match=message):
        CONVERTERS["ml-1m"].read(folder, argparse.Namespace())


@pytest.mark.parametrize("name", FILES)
def test_names_missing_files_with_the_link(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"there is no file .*{name}; unpack https://"):
        CONVERTERS["ml-1m"].read(folder, argparse.Namespace())
