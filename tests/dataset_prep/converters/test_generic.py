from __future__ import annotations

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.converters import CONVERTERS
from recbole_sibrar.dataset_prep.pipeline.raw import RawData, RawField

EVENTS = (
    "userId,movieId,stars,when\n1,a,4.5,2018-01-01 00:00:10\n2,b,,2018-01-01T00:00:20Z\n1,b,3,\n"
)
ITEMS = """movieId,genres,kind,price,plot
a,x|y z,film,2.5,"A ""plot"", long
and wide"
b,x,film,,Another plot
c,,book,7,
"""


def read(folder: Path, *arguments: str) -> RawData:
    parser = argparse.ArgumentParser()
    generic = CONVERTERS["generic"]
    generic.add_options(parser.add_argument_group())
    return generic.read(folder, parser.parse_args(arguments))


def values(fields: Sequence[RawField], ids: list[str]) -> dict[str, tuple[str, Any]]:
    """Name of a field -> its type, and its values."""
    return {
        field.name: (field.type, np.asarray(field.read(pd.Index(ids))).tolist()) for field in fields
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.csv").write_text(EVENTS, encoding="utf-8")
    (tmp_path / "items.csv").write_text(ITEMS, encoding="utf-8")
    return tmp_path


def test_recognises_usual_names_and_dates(folder: Path) -> None:
    raw = read(folder, "--interactions=events.csv", "--timestamp_column=when")
    assert raw.inter.astype({"user_id": str, "item_id": str}).fillna(-1).to_numpy().tolist() == [
        ["1", "a", 4.5, 1514764810],
        ["2", "b", -1, 1514764820],
        ["1", "b", 3, -1],
    ]
    assert raw.notes == [
        "Timestamps are read from column when as dates (UTC where they name no zone)."
    ]


def test_usual_columns_can_be_left_alone(folder: Path) -> None:
    raw = read(folder, "--interactions=events.csv", "--rating_column=none")
    assert list(raw.inter.columns) == ["user_id", "item_id"]


def test_infinite_is_refused_nan_is_missing(folder: Path) -> None:
    pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, np.nan]}).to_parquet(
        folder / "r.parquet"
    )
    np.testing.assert_array_equal(
        read(folder, "--interactions=r.parquet").inter["rating"], [1, np.nan]
    )
    pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1, np.inf]}).to_parquet(
        folder / "r.parquet"
    )
    with pytest.raises(
        DataError, match=r"r.parquet, row 2, column rating: found inf, allowed is a finite number"
    ):
        read(folder, "--interactions=r.parquet")


def test_infers_and_reports_types(folder: Path) -> None:
    raw = read(folder, "--interactions=events.csv", "--items=items.csv")
    assert values(raw.item_fields, ["b", "a", "zz"]) == {
        "genres": ("token_seq", [["x"], ["x", "y z"], []]),
        "kind": ("token", ["film", "film", None]),
        "price": (
            "float",
            [pytest.approx(np.nan, nan_ok=True), 2.5, pytest.approx(np.nan, nan_ok=True)],
        ),
    }
    assert raw.notes == [
        "events.csv: columns that are not used: when (dates: --timestamp_column 'when' if they are the times of the "
        "interactions).",
        "items: column plot is left out (hardly a value occurs twice, so it is no category); --encode "
        "'item:plot=MODEL' makes vectors of texts, as recbole-sibrar encode-text does; --columns 'item:plot=TYPE' uses "
        "it all the same.",
    ]
    assert raw.inferred == [
        "items: column genres is token_seq (some cells have several elements, separated by '|').",
        "items: column kind is token (texts).",
        "items: column price is float (numbers).",
    ]


def test_given_types_override_inferred_ones(folder: Path) -> None:
    told = ["item:plot=token", "item:genres=token", "item:price=token", "item:kind=skip"]
    raw = read(folder, "--interactions=events.csv", "--items=items.csv", "--columns", *told)
    assert values(raw.item_fields, ["a"]) == {
        "genres": ("token", ["x|y z"]),
        "price": ("token", ["2.5"]),
        "plot": ("token", ['A "plot", long\nand wide']),
    }


def test_kinds_of_files_agree(folder: Path) -> None:
    expected = read(folder, "--interactions=events.csv", "--timestamp_column=when").inter
    frame = pd.read_csv(folder / "events.csv")
    frame.to_csv(folder / "events.tsv", sep="\t", index=False)
    (folder / "events.csv.gz").write_bytes(gzip.compress(EVENTS.encode()))
    (folder / "events.dat").write_text(EVENTS.replace(",", "::"))
    frame.to_parquet(folder / "events.parquet")
    frame.to_csv(folder / "semicolons.csv", sep=";", index=False)
    for name in ("events.tsv", "events.csv.gz", "events.dat", "events.parquet", "semicolons.csv"):
        separator = ["--separator=;"] if name == "semicolons.csv" else []
        found = read(folder, f"--interactions={name}", "--timestamp_column=when", *separator).inter
        pd.testing.assert_frame_equal(found, expected)


def test_numbers_columns_without_a_header(folder: Path) -> None:
    (folder / "u.data").write_text("196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    numbers = ["--user_column=1", "--item_column=2", "--rating_column=3", "--timestamp_column=4"]
    raw = read(folder, "--interactions=u.data", "--separator=\\t", "--no_header", *numbers)
    rows = raw.inter.astype({"user_id": str, "item_id": str}).to_numpy().tolist()
    assert rows == [["196", "242", 3, 881250949], ["186", "302", 3, 891717742]]


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_units_of_time_are_recognised(folder: Path, factor: int, unit: str) -> None:
    (folder / "t.csv").write_text(f"user,item,time\n1,2,{1514764810 * factor}\n")
    raw = read(folder, "--interactions=t.csv")
    assert raw.inter["timestamp"].tolist() == [1514764810]
    assert raw.notes == [f"Timestamps are read from column time as {unit}."]


def test_keeps_types_of_parquet(folder: Path) -> None:
    frame = pd.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "tags": [["x", "y"], [], None],
            "vector": [[1.0, 2.0], [3.0, 4.0], None],
            "new": [True, False, None],
            "when": pd.to_datetime(["2018", "2019", "2020"]).strftime("%Y"),
        }
    )
    frame.to_parquet(folder / "items.parquet")
    raw = read(folder, "--interactions=events.csv", "--items=items.parquet")
    found = values(raw.item_fields, ["b", "a", "c"])
    assert found["tags"] == ("token_seq", [[], ["x", "y"], []])
    assert found["vector"][0] == "float_seq"
    np.testing.assert_array_equal(found["vector"][1], [[3, 4], [1, 2], [np.nan, np.nan]])
    assert found["new"] == ("token", ["false", "true", None])
    assert found["when"] == ("float", [2019, 2018, 2020])


def test_reads_vectors_in_cells(folder: Path) -> None:
    (folder / "v.tsv").write_text("item\tv\na\t[0.5, 1]\nb\t0.5 1\nc\t0.5|1\nd\t\n")
    raw = read(
        folder, "--interactions=events.csv", "--items=v.tsv", "--columns", "item:v=float_seq"
    )
    (vectors,) = (field.read(pd.Index(["a", "b", "c", "d"])) for field in raw.item_fields)
    np.testing.assert_array_equal(vectors, [[0.5, 1]] * 3 + [[np.nan] * 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--interactions=event.csv"], "there is no file .*event.csv"),
        (["--interactions=items.csv"], "--user_column: name the column of .*: movieId, genres"),
        (["--rating_column=star"], "--rating_column: found 'star', .*did you mean 'stars'"),
        (
            ["--rating_column=when"],
            "events.csv, row 2, column when: found '2018.*', allowed is a finite number",
        ),
        (
            ["--timestamp_column=movieId"],
            "row 2, column movieId: found 'a', allowed is a number or a date",
        ),
        (
            ["--item_column=userId"],
            "--item_column: found 'userId', which is the column with the user already",
        ),
        (["--encoding=utf-9"], "--encoding: found 'utf-9', allowed is an encoding such as"),
        (["--separator=é"], "--separator: found 'é', allowed are ASCII characters"),
        (["--columns", "item:kind=token"], "found a type for items, but there is no table"),
        (
            ["--items=items.csv", "--columns", "kind=token"],
            "found 'kind=token', allowed is user:COLUMN=TYPE or",
        ),
        (
            ["--items=items.csv", "--columns", "item:kind=tokn"],
            "allowed types are .*did you mean 'token'",
        ),
        (
            ["--items=items.csv", "--columns", "item:knd=token"],
            "--columns: found 'knd', .*did you mean 'kind'",
        ),
        (["--users=events.csv"], "row 4, column userId: found '1', allowed is each id once"),
    ],
)
def test_wrong_options_end_in_one_line(folder: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(folder, "--interactions=events.csv", *arguments)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "e.csv",
            b"user,item\n1,2\n3\n",
            "e.csv, row 3: found 1 columns, allowed are 2 separated by ','",
        ),
        ("e.csv", b"user,item\n1,2\n3,4,5\n", "e.csv, row 3: found 3 columns, allowed are 2"),
        ("e.csv", b"user,item\n1,2\n,4\n", "e.csv, row 3, column user: found '', allowed is an id"),
        ("e.csv", b"user,user\n1,2\n", "e.csv, line 1: found two columns of one name"),
        ("e.csv", b"", "e.csv: cannot be read: .*mpty"),
        ("e.csv", b"user,item\n1,2\n\xff,2\n", "e.csv, row 3, column 1: invalid UTF8"),
        (
            "e.csv",
            b"user,item\n1,2\n\n3,4\n",
            "e.csv, row 3, column user: found '', allowed is an id",
        ),
        (
            "e.csv.gz",
            gzip.compress(b"user,item\n" + b"1,2\n" * 9999, mtime=0)[:50],
            "e.csv.gz: cannot be read",
        ),
        ("e.parquet", b"none", "e.parquet: cannot be read as Parquet"),
        ("e.xls", b"", "found the ending '.xls', allowed are .parquet and, packed or not, .csv"),
    ],
)
def test_wrong_files_end_in_one_line(folder: Path, name: str, data: bytes, message: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(folder, f"--interactions={name}")


def test_ignores_empty_lines_at_the_end(folder: Path) -> None:
    (folder / "e.csv").write_bytes(b"user,item,note\n1,2,\n3,4,\n\n,,\n\n")
    assert read(folder, "--interactions=e.csv").inter["item_id"].tolist() == ["2", "4"]


def test_structures_are_no_fields_and_no_ids(folder: Path) -> None:
    columns = {
        "item": ["a", "b"],
        "size": [{"w": 1}, {"w": 2}],
        "parts": [[{"w": 1}], []],
        "kind": ["x", "x"],
    }
    pd.DataFrame(columns).to_parquet(folder / "i.parquet")
    (folder / "e.csv").write_text("user,item\n1,a\n2,b\n")
    raw = read(folder, "--interactions=e.csv", "--items=i.parquet")
    assert [field.name for field in raw.item_fields] == ["kind"]
    assert sum("is left out (its cells are" in note for note in raw.notes) == 2
    with pytest.raises(
        DataError, match=r"i\.parquet, column size: found struct<.*allowed are texts and numbers"
    ):
        read(folder, "--interactions=i.parquet", "--user_column=size")


def test_counts_items_without_interactions(folder: Path) -> None:
    (folder / "e.csv").write_text("user,item\n1,a\n2,b\n")
    (folder / "i.csv").write_text("item,kind\na,x\nb,x\nc,y\n")
    (field,) = read(folder, "--interactions=e.csv", "--items=i.csv").item_fields
    assert list(field.read(pd.Index(["a", "b"]))) == ["x", "x"]
    assert field.notes == ["i.csv: 1 of 3 rows were left out: no interaction of theirs is kept."]


def test_guests_are_refused_or_left_out(folder: Path) -> None:
    (folder / "e.csv").write_text("customer,sku\nc,1\n,2\nd,3\n")
    with pytest.raises(
        DataError, match=r"e\.csv, row 3, column customer: found '', allowed is an id"
    ):
        read(folder, "--interactions=e.csv")
    raw = read(folder, "--interactions=e.csv", "--drop_without_id")
    assert raw.inter.astype(str).to_numpy().tolist() == [["c", "1"], ["d", "3"]]
    assert raw.notes == [
        "e.csv: 1 of 3 rows without a user or an item were left out (--drop_without_id)."
    ]


def test_words_for_missing_ids_are_a_warning(folder: Path) -> None:
    (folder / "e.csv").write_text("customer,sku\nc,1\nNULL,2\nNULL,3\n")
    (warning,) = read(folder, "--interactions=e.csv").warnings
    assert (
        "2 rows have the user 'NULL', which looks like a missing value and counts as one user"
        in warning
    )
    raw = read(folder, "--interactions=e.csv", "--missing=NULL", "--drop_without_id")
    assert (raw.inter["user_id"].tolist(), raw.warnings) == (["c"], [])


def test_missing_ratings_and_times_by_words(folder: Path) -> None:
    (folder / "e.csv").write_text("user,item,rating,created_at\n1,2,NULL,2020-01-01\n3,4,5,n/a\n")
    raw = read(folder, "--interactions=e.csv")
    np.testing.assert_array_equal(
        raw.inter[["rating", "timestamp"]], [[np.nan, 1577836800], [5, np.nan]]
    )
    assert raw.notes[:2] == [
        "e.csv: column rating: 1 cells are missing values ('NULL' 1).",
        "e.csv: column created_at: 1 cells are missing values ('n/a' 1).",
    ]


def test_a_misleading_name_is_a_warning(folder: Path) -> None:
    (folder / "e.csv").write_text("user,item,score,time\n1,2,good,morning\n3,4,bad,evening\n")
    raw = read(folder, "--interactions=e.csv")
    assert list(raw.inter) == ["user_id", "item_id"]
    assert [warning.split(",")[0] for warning in raw.warnings] == [
        "e.csv: column score is named like a rating",
        "e.csv: column time is named like a timestamp",
    ]


def test_a_table_without_rows_is_a_warning(folder: Path) -> None:
    (folder / "e.csv").write_text("user,item\n1,2\n")
    (folder / "i.csv").write_text("item,kind\n")
    raw = read(folder, "--interactions=e.csv", "--items=i.csv")
    assert raw.item_fields == []
    assert raw.warnings == ["items: no column of i.csv is used."]


def test_an_index_of_pandas_is_no_field(folder: Path) -> None:
    (folder / "e.csv").write_text(",user,item\n0,1,a\n1,2,b\n")
    (folder / "i.csv").write_text(",item,kind\n0,a,x\n1,b,x\n")
    raw = read(folder, "--interactions=e.csv", "--items=i.csv")
    assert [field.name for field in raw.item_fields] == ["kind"]
    assert "items: a column without a name is left out." in raw.notes
