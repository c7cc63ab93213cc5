"""Tables in different forms, read in one command: those of MovieLens-100k and of Amazon's reviews."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import read_frame, read_header

Prepare = Callable[..., tuple[int, str, str]]

GENRES = ["Action", "Comedy", "Drama"]


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the command; returns its exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        paths = [
            f"--input_path={tmp_path}",
            f"--output_path={tmp_path / 'out'}",
            "--dataset=d",
            "--overwrite",
        ]
        status = cli.main(["prepare", "generic", *paths, *arguments])
        return status, *capsys.readouterr()

    return run


def frame(folder: Path, kind: str) -> pd.DataFrame:
    path = folder / "out" / "d" / f"d.{kind}"
    return read_frame(path, read_header(path))


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    """Three files in the form of MovieLens-100k."""
    (tmp_path / "u.data").write_text(
        "1\t10\t5\t881250949\n2\t10\t3\t891717742\n1\t20\t4\t878887116\n"
    )
    (tmp_path / "u.user").write_text(
        "1|24|M|technician|85711\n2|53|F|other|T8H1N\n3|30|F|other|02215\n"
    )
    movies = [
        "10|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?M|0|0|1",
        '20|"Quoted" 12" Film (1996)|22-Jan-1996||http://us.imdb.com/M/title-exact?Q|1|1|0',
        "30|Nobody's (1997)|||http://us.imdb.com/M/title-exact?N|0|0|0",
    ]
    (tmp_path / "u.item").write_text("\n".join(movies) + "\n", encoding="latin-1")
    return tmp_path


OF_MOVIELENS = [
    *(
        "--interactions=u.data",
        "--interactions_separator=\\t",
        "--interactions_header=user,item,rating,timestamp",
    ),
    *(
        "--users=u.user",
        "--users_separator=|",
        "--users_header=user,age,gender,occupation,zip_code",
    ),
    *("--items=u.item", "--items_separator=|", "--items_encoding=latin-1", "--items_quote=none"),
    f"--items_header=item,title,released,video,url,{','.join(f'genre_{genre}' for genre in GENRES)}",
    *("--columns", "item:genre_*=token_seq genres", "item:title=token", "user:zip_code=token"),
]


def test_movielens_is_read_in_one_command(prepare: Prepare, movielens: Path) -> None:
    status, _, errors = prepare(*OF_MOVIELENS)
    assert (status, errors) == (0, "")
    inter = frame(movielens, "inter")
    assert inter.to_numpy().tolist() == [
        ["1", "10", 5, 881250949],
        ["2", "10", 3, 891717742],
        ["1", "20", 4, 878887116],
    ]
    users = frame(movielens, "user").set_index("user_id")
    assert users["age"].to_dict() == {"1": 24, "2": 53, "3": 30}
    assert users["zip_code"].to_dict() == {"1": "85711", "2": "T8H1N", "3": "02215"}
    items = frame(movielens, "item").set_index("item_id")
    assert {key: list(value) for key, value in items["genres"].items()} == {
        "10": ["Drama"],
        "20": GENRES[:2],
        "30": [],
    }
    assert items["title"]["10"] == "Misérables, Les (1995)"
    days = {"10": "1995-01-01", "20": "1996-01-22"}
    assert {key: items["released"][key] for key in days} == {
        key: pd.Timestamp(day, tz="UTC").timestamp() for key, day in days.items()
    }
    assert np.isnan(items["released"]["30"])
    assert "url" not in items


def test_numbers_name_columns_of_each_table(prepare: Prepare, movielens: Path) -> None:
    numbers = [
        f"--{role}_column={k}" for k, role in enumerate(("user", "item", "rating", "timestamp"), 1)
    ]
    tables = [
        "--interactions=u.data",
        "--users=u.user",
        "--items=u.item",
        "--separator=|",
        "--interactions_separator=\\t",
    ]
    status, output, errors = prepare(
        *tables, *numbers, "--no_header", "--items_encoding=latin-1", "--items_quote=none"
    )
    assert (status, errors) == (0, "")
    assert list(frame(movielens, "user")) == ["user_id", "user_2", "user_3", "user_4"]
    assert "users: column 5 is left out (hardly a value occurs twice" in output


def test_amazon_is_read_in_one_command(prepare: Prepare, tmp_path: Path) -> None:
    reviews = (
        "user_id,parent_asin,rating,timestamp\nA,B1,5.0,1588615855070\nB,B2,1.0,1588615855070\n"
    )
    (tmp_path / "Games.csv.gz").write_bytes(gzip.compress(reviews.encode()))
    records = [
        {
            "parent_asin": "B1",
            "title": "One",
            "price": 9.99,
            "categories": ["Games", "PC"],
            "details": {"a": 1},
        },
        {"parent_asin": "B2", "title": "Two", "price": None, "categories": [], "store": "S"},
        {"parent_asin": "B3", "title": "Three", "price": 5, "categories": ["Games"], "store": "S"},
    ]
    lines = "\n".join(map(json.dumps, records))
    (tmp_path / "meta.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name, content in (
        ("meta.json", lines),
        ("list.json", json.dumps(records)),
        ("meta.ndjson", lines),
    ):
        (tmp_path / name).write_text(content)
    for name in ("meta.jsonl.gz", "meta.json", "list.json", "meta.ndjson"):
        assert prepare("--interactions=Games.csv.gz", f"--items={name}")[0] == 0
        items = frame(tmp_path, "item").set_index("item_id")
        assert items["price"].fillna(-1).to_dict() == {"B1": 9.99, "B2": -1, "B3": 5}
        assert list(items["categories"]["B1"]) == ["Games", "PC"]
        assert items["store"]["B3"] == "S"
        assert "details" not in items
    assert frame(tmp_path, "inter")["timestamp"].tolist() == [1588615855.07] * 2


def test_mixed_values_of_json_are_texts(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"user": 1, "item": 7}\n{"user": "x", "item": 8}\n')
    records = [
        {"item": 7, "size": 4, "new": True, "v": [1, 2.5]},
        {"item": 8, "size": "XL", "new": False, "v": [2, 3]},
    ]
    (tmp_path / "i.jsonl").write_text(
        "\n".join(map(json.dumps, [*records, {"item": 9, "size": "XL", "v": []}]))
    )
    assert prepare("--interactions=e.jsonl", "--items=i.jsonl")[0] == 0
    assert frame(tmp_path, "inter").to_numpy().tolist() == [["1", "7"], ["x", "8"]]
    items = frame(tmp_path, "item")
    assert items["size"].tolist() == ["4", "XL", "XL"]
    assert items["new"].fillna("").tolist() == ["true", "false", ""]
    assert [list(vector) for vector in items["v"]] == [[1, 2.5], [2, 3], []]


def test_a_separator_is_found_out(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user;item;rating\n1;a;2,5\n2;b;1.000,5\n")
    status, output, _ = prepare("--interactions=e.csv", "--decimal=,")
    assert status == 0
    assert (
        "note: e.csv: the columns are separated by ';'; --interactions_separator decides otherwise."
        in output
    )
    assert frame(tmp_path, "inter")["rating"].tolist() == [2.5, 1000.5]


def test_another_quotation_mark_is_read(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,item\n'a, b',\"x\n")
    assert prepare("--interactions=e.csv", "--quote='")[0] == 0
    assert frame(tmp_path, "inter").to_numpy().tolist() == [["a, b", '"x']]


HEADERS = {
    "a header that is none": (
        ["--interactions=e.csv", "--items=no.csv"],
        "no.csv, line 1: the column of ids is named 'a', which is an id of the interactions: if the file begins with "
        "data, write --items_no_header",
    ),
    "none that is one": (
        ["--interactions=e.csv", "--items=i.csv", "--items_no_header"],
        "i.csv, line 1: found 'price' in column 2, which looks like a header",
    ),
    "names beside a header": (
        ["--interactions=e.csv", "--users=u.csv", "--users_header=user,gender"],
        "u.csv, line 1: found 'user' in column user, which looks like a header",
    ),
    "a separator": (
        ["--interactions=e.csv", "--separator=;"],
        "write what separates them with --interactions_separator",
    ),
    "another encoding": (
        ["--interactions=l.csv"],
        "row 2, column 1: invalid UTF8 data.*--interactions_encoding latin-1",
    ),
    "UTF-16": (["--interactions=w.csv"], "it begins like UTF-16 text: --encoding utf-16"),
    "Excel": (["--interactions=x.csv"], "it begins like a zip file or an Excel table"),
    "an open quotation mark": (
        ["--interactions=q.csv"],
        'q.csv, line 3: found a quotation mark " that is not closed',
    ),
    "a wrong option": (
        ["--interactions=e.csv", "--users_quote=ab"],
        "--users_quote: found 'ab', allowed is one ASCII",
    ),
    "an empty name": (
        ["--interactions=e.csv", "--interactions_header=a,,b"],
        "--interactions_header: found 'a,,b'",
    ),
    "no JSON": (["--interactions=e.csv", "--items=n.jsonl"], "n.jsonl, line 1: not JSON"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_wrong_form_ends_in_one_line(prepare: Prepare, tmp_path: Path, case: str) -> None:
    (tmp_path / "e.csv").write_text("user,item\nu,a\nv,b\n")
    (tmp_path / "no.csv").write_text("a,1\nb,2\n")
    (tmp_path / "i.csv").write_text("item,price\na,1\nb,2\n")
    (tmp_path / "u.csv").write_text("user,gender\nu,m\nv,f\n")
    (tmp_path / "l.csv").write_bytes("user,item\né,a\n".encode("latin-1"))
    (tmp_path / "w.csv").write_bytes("user,item\na,b\n".encode("utf-16"))
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04\xff\xff")
    (tmp_path / "q.csv").write_text('user,item\n1,a\n2,"b\n3,c\n')
    (tmp_path / "n.jsonl").write_text("item,price\n")
    arguments, message = HEADERS[case]
    status, _, errors = prepare(*arguments)
    (line,) = errors.splitlines()
    assert status == cli.WRONG_INPUT
    assert all(part in line for part in message.split(".*"))
    assert not list((tmp_path / "out").iterdir())
