"""Amazon Reviews 2023 in the published format becomes the atomic files that its description asks for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_sibrar.data.atomic import DataError, read_frame, read_header
from recbole_sibrar.dataset_prep import command
from recbole_sibrar.dataset_prep.converters.amazon.product_metadata import parse_price

Convert = Callable[..., Path]

REVIEWS = [  # user, item, rating, milliseconds
    ("AE1", "B01", 5.0, 1_588_687_728_923),
    ("AE1", "B02", 1.0, 1_588_687_728_000),
    ("AE2", "B01", 3.0, 1_400_000_000_500),
    ("AE2", "B03", 4.0, 1_600_000_000_000),
    ("AE1", "B01", 2.0, 1_300_000_000_000),  # once more, earlier, in a later line
    ("AÉ3", "B04", 4.5, 1_600_000_000_001),
]


def review(user: str, item: str, rating: float, milliseconds: int) -> dict[str, Any]:
    return {
        "rating": rating,
        "title": "good\tgame",
        "text": 'line one\nline two, "quoted" \u2028 日本',
        "images": [],
        "asin": f"{item}-variant",
        "parent_asin": item,
        "user_id": user,
        "timestamp": milliseconds,
        "helpful_vote": 0,
        "verified_purchase": True,
    }


def product(item: str, **changed: Any) -> dict[str, Any]:
    return {
        "main_category": "Video Games",
        "title": "A game",
        "average_rating": 4.3,
        "rating_number": 12,
        "features": [],
        "description": [],
        "price": None,
        "images": [{"thumb": "t.jpg", "large": "l.jpg", "variant": "MAIN", "hi_res": None}],
        "videos": [],
        "store": None,
        "categories": [],
        "details": {"Release date": "2001"},
        "parent_asin": item,
        "bought_together": None,
        **changed,
    }


PRODUCTS = [
    product(
        "B01",
        title='Tab\there, line\nthere and "quotes" 日本',
        description=["First\npart.", "Second part."],
        categories=["Video Games", "Legacy Systems", "PlayStation"],
        store="Sony",
        price=12.5,
    ),
    product("B02", price="from 1,299.99", main_category=None, title="", description=[""]),
    product("B03", price="—"),
    product("B03", price=1.0),
    product("B99", price=7),
]


def write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    data = "".join(
        json.dumps(record, ensure_ascii=record["parent_asin"] == "B01") + "\n" for record in records
    ).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "amazon"
    folder.mkdir()
    write(folder / "Video_Games.jsonl.gz", [review(*row) for row in REVIEWS])
    write(folder / "meta_Video_Games.jsonl.gz", PRODUCTS)
    return folder


@pytest.fixture
def convert(source: Path, tmp_path: Path) -> Convert:
    def run(*options: str) -> Path:
        paths = [
            f"--input_path={source}",
            f"--output_path={tmp_path / 'out'}",
            "--overwrite",
            "--k_core=0",
        ]
        command.main(["amazon-2023", *paths, *options], lambda line: None)
        return tmp_path / "out" / "amazon-2023" / "amazon-2023"

    return run


def rows(path: Path) -> dict[tuple[str, ...], list[Any]]:
    """Lines of an atomic file, by its ids, read as a model reads it."""
    frame = read_frame(path, read_header(path))
    n_ids = sum(name in ("user_id", "item_id") for name in frame)
    return {tuple(line[:n_ids]): list(line[n_ids:]) for line in frame.itertuples(index=False)}


def test_keeps_the_first_review_of_a_pair(convert: Convert) -> None:
    first = {("AE1", "B01"): [2.0, 1_300_000_000.0]}
    expected = {(user, item): [rating, time / 1000] for user, item, rating, time in REVIEWS} | first
    assert rows(convert().with_suffix(".inter")) == expected
    report = json.loads((convert().parent / "report.json").read_text(encoding="utf-8"))
    assert [step["interactions"] for step in report["steps"]] == [6, 5]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_ratings_give_the_same_interactions(source: Path, convert: Convert, ending: str) -> None:
    expected = convert().with_suffix(".inter").read_bytes()
    (source / "Video_Games.jsonl.gz").unlink()
    lines = ["user_id,parent_asin,rating,timestamp", *(",".join(map(str, row)) for row in REVIEWS)]
    data = ("\r\n".join(lines) + "\r\n").encode()
    (source / f"Video_Games{ending}").write_bytes(
        gzip.compress(data) if ending.endswith("gz") else data
    )
    assert convert().with_suffix(".inter").read_bytes() == expected


def test_reads_the_fields_of_items(convert: Convert) -> None:
    path = convert().with_suffix(".item")
    header = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert header == [
        "item_id:token",
        "title:token",
        "description:token",
        "categories:token_seq",
        "store:token",
        "price:float",
        "main_category:token",
    ]
    found = rows(path)
    title, description, categories, store, price, main_category = found["B01",]
    assert title == 'Tab here, line there and "quotes" 日本'
    assert description == "First part. Second part."
    assert list(categories) == ["Video_Games", "Legacy_Systems", "PlayStation"]
    assert (store, price, main_category) == ("Sony", 12.5, "Video Games")
    assert list(found) == [("B01",), ("B02",), ("B03",), ("B04",)]


def test_counts_missing_metadata(convert: Convert) -> None:
    path = convert().with_suffix(".item")
    lines = {
        line.split("\t")[0]: line.split("\t")[1:]
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    assert lines["B02"] == ["", "", "", "", "1299.99", ""]
    assert lines["B03"] == ["A game", "", "", "", "", "Video Games"]
    assert lines["B04"] == [""] * 6
    notes = json.loads(path.with_name("report.json").read_text(encoding="utf-8"))["notes"]
    for note in (
        "1 items have no metadata; their fields are missing.",
        "1 lines were left out: no interaction of their items is kept.",
        "1 lines are of an item that has a line already; the first counts.",
        "1 prices that are texts are read as a number.",
        "1 prices that are texts are missing.",
    ):
        assert f"meta_Video_Games.jsonl.gz: {note}" in notes


def test_unreviewed_products_on_request(convert: Convert) -> None:
    assert list(rows(convert("--keep_items=all").with_suffix(".item")))[-1] == ("B99",)
    found = rows(convert("--keep_items=all", "--min_rating=5").with_suffix(".item"))
    assert set(found) == {("B01",), ("B99",)}  # the others were reviewed, and rated lower


def test_metadata_of_others_are_refused(source: Path, convert: Convert) -> None:
    write(source / "meta_Video_Games.jsonl.gz", [product("b01"), product("b02")])
    with pytest.raises(
        DataError, match=r"none of its ids, such as 'b01' and 'b02', .* capital letters"
    ):
        convert()


def test_works_without_metadata(source: Path, convert: Convert) -> None:
    write(source / "All_Beauty.jsonl", [review(*row) for row in REVIEWS[:3]])
    path = convert("--category=All_Beauty")
    assert len(rows(path.with_suffix(".inter"))) == 3
    assert not path.with_suffix(".item").exists()


def test_lists_existing_categories(convert: Convert) -> None:
    with pytest.raises(DataError, match="there are Video_Games; did you mean 'Video_Games'"):
        convert("--category=Video_games")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"rating": 5.0', "line 3, column 15: no JSON object"),
        (b'["rating"]', r'line 3: found \["rating"\], allowed is a JSON object'),
        (b'{"user_id": "\xff"}', "line 3, byte 14: the text is not UTF-8"),
        (json.dumps(review("", "B01", 5.0, 1)).encode(), "line 3, key 'user_id': found \"\""),
        (
            json.dumps({"user_id": "a", "rating": 5}).encode(),
            "line 3, key 'parent_asin': found null",
        ),
        (json.dumps(review("a", "B01", "5", 1)).encode(), "line 3, key 'rating': found \"5\""),  # type: ignore[arg-type]
        (
            json.dumps(review("a", "B01", float("nan"), 1)).encode(),
            "line 3, key 'rating': found NaN",
        ),
        (
            json.dumps({**review("a", "B01", 5, 1), "timestamp": None}).encode(),
            "line 3, key 'timestamp': found null",
        ),
        (json.dumps(review("a", "B01", 10**400, 1)).encode(), "line 3, key 'rating': found 1000"),
        (b'{"rating": 1' + b"0" * 5000 + b"}", "line 3: no JSON object that can be read: .*digits"),
        (b"[" * 100_000, "line 3: no JSON object that can be read: .*recursion"),
    ],
)
def test_names_line_and_key_of_wrong_reviews(
    source: Path, convert: Convert, line: bytes, message: str
) -> None:
    good = json.dumps(review(*REVIEWS[0])).encode()
    (source / "Video_Games.jsonl").write_bytes(b"\n".join([good, b"", line, good]))
    with pytest.raises(DataError, match=rf"Video_Games.jsonl, {message}"):
        convert()
    assert not (source.parent / "out" / "amazon-2023").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"title": 5}, "key 'title': found 5, allowed is a text or null"),
        ({"categories": "Games"}, "key 'categories': found \"Games\", allowed is a list of texts"),
        ({"description": [1]}, r"key 'description': found \[1\], allowed is a list of texts"),
        ({"price": {}}, "key 'price': found {}, allowed is a number, a text or null"),
        ({"parent_asin": None}, "key 'parent_asin': found null, allowed is a text"),
    ],
)
def test_names_line_of_wrong_metadata(
    source: Path, convert: Convert, changed: dict[str, Any], message: str
) -> None:
    write(source / "meta_Video_Games.jsonl.gz", [product("B02"), product("B01", **changed)])
    with pytest.raises(DataError, match=rf"meta_Video_Games.jsonl.gz, line 2, {message}"):
        convert()
    assert not (source.parent / "out" / "amazon-2023").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,five,1", "line 2, column 'rating': found 'five', allowed is a number"),
        ("a,b,nan,1", "line 2, column 'rating': found 'nan'"),
        ("a,b,5.0", "line 2: found 3 columns, allowed are 4"),
        ("a,,5.0,1", "line 2, column 'parent_asin': found ''"),
        ("a,b,5.0,1.5", "line 2, column 'timestamp': found '1.5', allowed is a whole number"),
    ],
)
def test_names_line_of_wrong_ratings(
    source: Path, convert: Convert, line: str, message: str
) -> None:
    (source / "Toys.csv").write_text(
        f"user_id,parent_asin,rating,timestamp\n{line}\nc,d,1.0,1\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match=f"Toys.csv, {message}"):
        convert("--category=Toys")


def test_refuses_truncated_or_empty_files(source: Path, convert: Convert) -> None:
    path = source / "Video_Games.jsonl.gz"
    packed = path.read_bytes()
    path.write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"Video_Games\.jsonl\.gz: the compressed file ends early"):
        convert()
    path.write_bytes(gzip.compress(b"\n"))
    with pytest.raises(DataError, match="there are no reviews"):
        convert()


@given(st.integers(0, 10**6), st.sampled_from(["{}", "${}", "from {}", "from ${:,}", "{:,}.00"]))
def test_parses_prices_in_texts(number: int, text: str) -> None:
    assert parse_price(text.format(number)) == number


@pytest.mark.parametrize(
    "value", ["", "—", "None", "$1.00 - $2.00", None, True, np.inf, np.nan, 10**400, "1.2.3"]
)
def test_other_values_are_no_price(value: object) -> None:
    assert parse_price(value) is None


def test_defaults_are_those_of_the_papers() -> None:
    options = command.build_parser().parse_args(
        ["amazon-2023", "--input_path=a", "--output_path=b"]
    )
    assert (options.category, options.k_core, options.min_rating, options.min_interactions) == (
        "Video_Games",
        5,
        None,
        1,
    )
