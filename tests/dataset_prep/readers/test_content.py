from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.readers.content import read_content

ROWS = [
    {"id": "01", "title": 'Ratón, "the" mouse', "year": "1995", "tags": ["a", "b c"]},
    {"id": "x y", "title": "", "year": "", "tags": []},
    {"id": "NA", "title": "null", "year": "7", "tags": ["", "d"]},
]
EXPECTED = {"01": ('Ratón, "the" mouse', "1995"), "x y": ("", ""), "NA": ("null", "7")}


def _csv(path: Path, separator: str = ",") -> None:
    frame = pd.DataFrame(ROWS).drop(columns="tags")
    frame.to_csv(path, index=False, sep=separator)


def _jsonl(path: Path) -> None:
    # an empty value is no key at all
    rows = [{name: value for name, value in row.items() if value} for row in ROWS]
    text = "\n".join(json.dumps(row) for row in rows) + "\n\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def _json_of_objects(path: Path) -> None:
    text = json.dumps(
        {row["id"]: {"title": row["title"] or None, "year": row["year"]} for row in ROWS}
    )
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def _json_list(path: Path) -> None:
    path.write_text(
        json.dumps([{**row, "year": row["year"] and int(str(row["year"]))} for row in ROWS])
    )


def _parquet(path: Path) -> None:
    pd.DataFrame(ROWS).replace({"": None}).to_parquet(path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.csv": _csv,
    "a.csv.gz": _csv,
    "a.tsv": lambda path: _csv(path, "\t"),
    "a.jsonl": _jsonl,
    "a.jsonl.gz": _jsonl,
    "objects.json": _json_of_objects,
    "objects.json.gz": _json_of_objects,
    "list.json": _json_list,
    "a.parquet": _parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_give_the_same_texts(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    frame = read_content(tmp_path / name, None, ["title", "year"], "--text_columns")
    assert list(frame.columns) == ["title", "year"]
    assert {id_: tuple(row) for id_, *row in frame.itertuples()} == EXPECTED
    assert list(frame.index) == list(EXPECTED)


def test_reads_atomic_files_by_field_names(tmp_path: Path) -> None:
    path = tmp_path / "a.item"
    path.write_text(
        "item_id:token\ttitle:token_seq\tyear:float\tv:float_seq\ni1\tToy Story\t1995\t1 2\ni2\t\t\t3 4\n"
    )
    frame = read_content(path, None, ["title"], "--text_columns")
    assert frame["title"].to_dict() == {"i1": "Toy Story", "i2": ""}
    with pytest.raises(DataError, match="'v' holds vectors"):
        read_content(path, None, ["v"], "--text_columns")


def test_the_only_text_column_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": "one", "b": None}))
    assert read_content(path, None, None, "--text_columns")["text"].to_dict() == {
        "a": "one",
        "b": "",
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_joins_lists_by_spaces(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    frame = read_content(tmp_path / name, "id", ["tags"], "--text_columns")
    assert list(frame["tags"]) == ["a b c", "", "d"]


def test_a_cell_with_line_breaks_is_one_text(tmp_path: Path) -> None:
    pd.DataFrame({"id": [1, 2], "text": ["a\nb\tc", "d"]}).to_csv(tmp_path / "a.csv", index=False)
    frame = read_content(tmp_path / "a.csv", None, None, "--text_columns")
    assert frame["text"].to_dict() == {"1": "a\nb\tc", "2": "d"}


def test_replaces_half_characters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(r'{"id": 1, "text": "half \ud83d, whole \ud83d\ude00"}')
    frame = read_content(tmp_path / "a.jsonl", None, None, "--text_columns")
    assert frame["text"].to_dict() == {"1": "half ?, whole 😀"}


WRONG = {
    "no suffix": ("a", b"id", {}, "allowed is a file that ends in .csv, .tsv"),
    "no column of ids": ("a.csv", b"key,text\n1,x\n", {}, "--id_column: .* name one of key, text"),
    "unknown column": (
        "a.csv",
        b"id,title\n1,x\n",
        {"columns": ["titel"]},
        r"'titel'.*did you mean 'title'\?",
    ),
    "unknown ids": (
        "a.csv",
        b"id,title\n1,x\n",
        {"id_column": "idd"},
        r"--id_column: found 'idd'.*mean 'id'\?",
    ),
    "column twice": ("a.csv", b"id,t\n1,x\n", {"columns": ["t", "t"]}, "found 't' twice"),
    "several columns": ("a.csv", b"id,a,b\n1,x,y\n", {}, "among a, b"),
    "id twice": (
        "a.csv",
        b"id,t\n1,x\n2,x\n1,y\n",
        {},
        r"the id '1' occurs 2 times \(rows 1 and 3\)",
    ),
    "key twice": ("a.json", b'{"a": "x", "b": "y", "a": "z"}', {}, r"the id 'a' occurs 2 times"),
    "no id": ("a.csv", b"id,t\n1,x\n,y\n", {}, "row 2: column 'id' is empty"),
    "empty file": ("a.csv", b"", {}, "has no row"),
    "cut gz": (
        "a.csv.gz",
        gzip.compress(b"id,t\n" + bytes(range(256)) * 99, mtime=0)[:60],
        {},
        "cannot read",
    ),
    "no gz": ("a.jsonl.gz", b'{"id": 1}', {}, "cannot read"),
    "no text": ("a.csv", b"id,t\n1,\xff\xfe\n", {}, "cannot read"),
    "too many cells": (
        "a.csv",
        b"id,t\n1,x\n2,x,y,z\n",
        {"columns": ["t"]},
        "line 3: found 4 columns, allowed are 2",
    ),
    "comma in a text": (
        "a.csv",
        b"id,t\n1,one, two\n",
        {},
        "line 2: found 3 columns, .* has to stand in quot",
    ),
    "open quote": ("a.csv", b'id,t\n1,"x\n2,y\n', {}, "line 3: unexpected end of data"),
    "no Parquet": ("a.parquet", b"id,t\n", {}, "cannot read"),
    "broken line": ("a.jsonl", b'{"id": 1, "t": "x"}\n{"id"\n', {}, "line 2: not JSON"),
    "deep line": ("a.jsonl", b"[" * 100_000, {}, "line 1: not JSON: .*recursion"),
    "long number": ("a.jsonl", b'{"id": 1' + b"0" * 5000 + b"}", {}, "line 1: not JSON: .*digits"),
    "no object": (
        "a.jsonl",
        b'{"id": 1, "t": "x"}\n[1]\n',
        {},
        r"line 2: found '\[1\]', allowed is an object",
    ),
    "nested": ("a.jsonl", b'{"id": 1, "t": {"u": 1}}\n', {}, "column 't': found an object"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    name, content, given, message = WRONG[case]
    path = tmp_path / name
    path.write_bytes(content)
    arguments = {"id_column": None, "columns": None, **given}
    with pytest.raises(DataError, match=message) as caught:
        read_content(path, key="--text_columns", **arguments)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nothing\.csv"):
        read_content(tmp_path / "nothing.csv", None, None, "--text_columns")


def test_a_text_can_have_any_length(tmp_path: Path) -> None:
    text = "sea " * 100_000
    (tmp_path / "a.csv").write_text(f'id,text\n1,"{text}"\n')
    assert read_content(tmp_path / "a.csv", None, None, "--text_columns")["text"].tolist() == [
        text.strip()
    ]


def test_whole_ids_have_no_decimal_point(tmp_path: Path) -> None:
    pd.DataFrame({"id": [7.0, 12.5], "text": ["a", "b"]}).to_parquet(tmp_path / "a.parquet")
    frame = read_content(tmp_path / "a.parquet", None, None, "--text_columns")
    assert frame.index.tolist() == ["7", "12.5"]
