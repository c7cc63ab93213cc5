"""Music4All-Onion in the published format becomes the atomic files that its description asks for."""

from __future__ import annotations

import bz2
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep import command
from recbole_sibrar.dataset_prep.readers import streams

RNG = np.random.default_rng(3)
EVENTS = [
    (f"{u}", f"track{i:04d}", f"{year}-{month:02d}-28 23:59:{second:02d}")
    for u, i, year, month, second in zip(
        RNG.integers(1, 13, 3000),
        RNG.integers(1, 21, 3000),
        RNG.integers(2016, 2020, 3000),
        RNG.integers(1, 13, 3000),
        RNG.integers(0, 60, 3000),
        strict=True,
    )
]
EVENTS += [("1", "edge", "2018-01-01 00:00:00"), ("1", "edge", "2018-12-31 23:59:59")]
EVENTS += [("1", "edge", "2017-12-31 23:59:59"), ("1", "edge", "2019-01-01 00:00:00")]
EVENTS_NAME, COUNTS_NAME = "userid_trackid_timestamp.tsv", "userid_trackid_count.tsv"
Convert = Callable[..., Path]


def write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    text = (
        "\n".join([header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in rows)]) + "\n"
    )
    packed = bz2.compress(text.encode()) if path.suffix == ".bz2" else text.encode()
    path.write_bytes(packed)


def read(path: Path) -> dict[str, list[str]]:
    """Columns of an atomic file."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: list(column) for name, *column in zip(*lines, strict=True)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "onion"
    folder.mkdir()
    write(folder / f"{EVENTS_NAME}.bz2", "user_id track_id timestamp", EVENTS)
    return folder


@pytest.fixture
def convert(source: Path, tmp_path: Path) -> Convert:
    def run(*options: str) -> Path:
        paths = [f"--input_path={source}", f"--output_path={tmp_path / 'out'}", "--overwrite"]
        command.main(["music4all-onion", *paths, "--k_core=0", *options], lambda line: None)
        return tmp_path / "out" / "music4all-onion" / "music4all-onion"

    return run


def counted(events: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str], int]:
    return Counter((user, track) for user, track, _ in events)


def pairs(table: dict[str, list[str]], value: str) -> dict[tuple[str, str], float]:
    keys = zip(table["user_id:token"], table["item_id:token"], strict=True)
    return dict(zip(keys, map(float, table[value]), strict=True))


@pytest.mark.parametrize("block", [100, 1 << 20])
def test_keeps_pairs_of_2018_with_two_events(
    convert: Convert, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", block)
    table = read(convert().with_suffix(".inter"))
    of_2018 = [event for event in EVENTS if event[2].startswith("2018")]
    expected = {pair: count for pair, count in counted(of_2018).items() if count >= 2}
    assert pairs(table, "count:float") == expected
    assert expected["1", "edge"] == 2
    for (user, track), seconds in pairs(table, "timestamp:float").items():
        first = min(time for u, i, time in of_2018 if (u, i) == (user, track))
        assert seconds == np.datetime64(first.replace(" ", "T"), "s").astype(int)


def test_report_counts_events_of_each_filter(convert: Convert) -> None:
    report = json.loads((convert().parent / "report.json").read_text(encoding="utf-8"))
    in_2018 = [event for event in EVENTS if event[2].startswith("2018")]
    assert [step["interactions"] for step in report["steps"]] == [
        len(EVENTS),
        len(in_2018),
        len(counted(in_2018)),
        sum(count >= 2 for count in counted(in_2018).values()),
    ]
    assert report["steps"][0]["users"] == 12
    assert report["steps"][0]["items"] == 21


def test_all_years_are_kept_on_request(convert: Convert) -> None:
    table = read(convert("--year=all", "--min_interactions=1").with_suffix(".inter"))
    assert pairs(table, "count:float") == counted(EVENTS)


def test_reads_counts_instead_of_events(source: Path, convert: Convert) -> None:
    rows = [("u1", "a", 3), ("u1", "b", 1), ("u2", "a", 2), ("u2", "a", 5)]
    write(source / COUNTS_NAME, "user_id track_id count", rows)
    chosen = read(convert("--interactions=counts").with_suffix(".inter"))
    (source / f"{EVENTS_NAME}.bz2").unlink()
    alone = read(convert().with_suffix(".inter"))
    assert pairs(chosen, "count:float") == {("u1", "a"): 3, ("u2", "a"): 7}
    assert alone == chosen
    assert "timestamp:float" not in chosen


def features(source: Path) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    ids = [f"track{n:04d}" for n in range(5, 35)]
    write(
        source / "id_bert.tsv.bz2",
        "id 0 1 2 3 4 5",
        [[i, *v] for i, v in zip(ids, vectors, strict=True)],
    )
    rows = [[i, *v[:3]] for i, v in zip(ids, vectors, strict=True)]
    write(source / "id_genres_tf-idf.tsv", "ID rock pop k-pop", [*rows, ["edge", "", "", ""]])
    tags = [["track0001", {"rock 'n' roll": 1.5, "日本 語": 0.5}], ["track0002", {}]]
    write(source / "id_tags_dict.tsv.bz2", "id tags", tags)
    genres = [["track0001", "rock,indie pop"], ["track0002", ""], ["track0003", "jazz"]]
    write(source / "id_genres.tsv.bz2", "id genres", genres)
    return vectors


@pytest.mark.slow
@pytest.mark.parametrize("block", [64, 1 << 20])
def test_feature_files_become_fields(
    source: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", block)
    vectors = features(source)
    path = convert()
    table = read(path.with_suffix(".item"))
    names = [
        "item_id:token",
        "bert:float_seq",
        "genres:token_seq",
        "genres_tf-idf:float_seq",
        "tags_dict:token_seq",
    ]
    assert list(table) == names
    rows = {name: dict(zip(table["item_id:token"], table[name], strict=True)) for name in names}
    for n in range(1, 21):
        bert, weights = (rows[name][f"track{n:04d}"] for name in (names[1], names[3]))
        if n < 5:
            assert (bert, weights) == ("", "")
        else:
            assert np.array_equal(np.array(bert.split(), np.float32), vectors[n - 5])
            assert np.array_equal(np.array(weights.split(), np.float32), vectors[n - 5, :3])
    assert rows[names[3]]["edge"] == ""
    assert rows[names[4]]["track0001"].split(" ") == ["rock_'n'_roll", "日本_語"]
    assert rows[names[2]]["track0001"].split(" ") == ["rock", "indie_pop"]
    assert {rows[name]["track0002"] for name in (names[2], names[4])} == {""}
    notes = json.loads(path.with_name("report.json").read_text(encoding="utf-8"))["notes"]
    assert any(note.startswith("id_bert.tsv.bz2: 14 of 30 tracks were left out") for note in notes)


def test_unheard_tracks_are_kept_on_request(source: Path, convert: Convert) -> None:
    write(
        source / EVENTS_NAME,
        "user_id track_id timestamp",
        [*EVENTS, ("1", "old", "2016-01-01 00:00:00")],
    )
    genres = [["track0001", "rock"], ["old", "jazz"], ["unheard", "jazz"]]
    write(source / "id_genres.tsv", "id genres", genres)
    write(source / "users.tsv", "user_id country age gender creation_time", USERS)
    path = convert("--keep_items=all", "--keep_users=all")
    assert read(path.with_suffix(".item"))["item_id:token"][-1] == "unheard"
    assert read(path.with_suffix(".user"))["user_id:token"][-2:] == ["stranger", "another"]
    # it was heard, in another year
    assert "old" not in read(path.with_suffix(".item"))["item_id:token"]


def test_features_of_others_are_refused(source: Path, convert: Convert) -> None:
    write(source / "id_genres.tsv", "id genres", [["1", "rock"], ["2", "jazz"]])
    with pytest.raises(
        DataError, match=r"id_genres.tsv: none of its ids, such as '1' and '2', is that of an item"
    ):
        convert()


def test_reads_chosen_features_only(source: Path, convert: Convert) -> None:
    features(source)
    (source / "id_lyrics.tsv").write_text("broken", encoding="utf-8")
    assert list(read(convert("--item_features=bert").with_suffix(".item"))) == [
        "item_id:token",
        "bert:float_seq",
    ]


def test_refuses_wrong_features_early(source: Path, convert: Convert) -> None:
    features(source)
    write(source / EVENTS_NAME, "user_id track_id timestamp", [("1", "a", "yesterday")])
    with pytest.raises(DataError, match=r"--item_features: found 'brt', .* did you mean 'bert'"):
        convert("--item_features=brt")
    write(source / "id_x.tsv", "name 0", [])
    with pytest.raises(DataError, match=r"id_x.tsv, line 1: found 'name'"):
        convert()
    with pytest.raises(DataError, match="found 'yesterday'"):
        convert("--item_features=bert")


USERS = [
    ("1", "DE", 23, "m", "2006-01-02 03:04:05"),
    ("2", "DE", -1, "n", "2006-01-02 03:04:05"),
    ("3", "NA", 10, "f", "2006-01-02 03:04:05"),
    ("4", "NA", 80, "", ""),
    ("5", "US", 81, "f", "2006-01-02 03:04:05"),
    ("6", "", "", "m", "2006-01-02 03:04:05"),
    ("stranger", "US", 30, "m", "2006-01-02 03:04:05"),
    ("another", "US", 30, "m", "2006-01-02 03:04:05"),
]


def test_demographics_of_the_papers(source: Path, convert: Convert) -> None:
    write(source / "users.tsv.bz2", "user_id country age gender creation_time", USERS)
    path = convert("--countries=2")
    table = read(path.with_suffix(".user"))
    rows = {user: values for user, *values in zip(*table.values(), strict=True)}
    named = {name: dict(zip(table["user_id:token"], table[name], strict=True)) for name in table}
    assert len(rows) == 12
    gender, age, country = (named[name] for name in ("gender:token", "age:float", "country:token"))
    assert [gender[user] for user in "1234567"] == ["m", "", "f", "", "f", "m", ""]
    assert [age[user] and float(age[user]) for user in "1234567"] == [23, "", 10, 80, "", "", ""]
    # NA: Namibia
    assert [country[user] for user in "1234567"] == [
        "DE",
        "DE",
        "NA_",
        "NA_",
        "",
        "",
        "",
    ]
    assert float(named["creation_time:float"]["1"]) == 1136171045
    assert named["creation_time:float"]["4"] == ""
    notes = " ".join(json.loads(path.with_name("report.json").read_text(encoding="utf-8"))["notes"])
    assert "2 users with an age outside 10 to 80" in notes
    assert (
        notes.count(
            f"users.tsv: 2 of {len(USERS)} users were left out: no interaction of theirs is kept."
        )
        == 1
    )
    assert "1 users with a gender other than m and f" in notes


def test_keeps_all_ages_and_countries(source: Path, convert: Convert) -> None:
    write(source / "users.tsv", "user_id country age gender creation_time", USERS)
    table = read(convert("--countries=0", "--age_range", "0", "100").with_suffix(".user"))
    country, age = (
        dict(zip(table["user_id:token"], table[f"{x}"], strict=True))
        for x in ("country:token", "age:float")
    )
    assert country["5"] == "US"
    assert float(age["5"]) == 81


@pytest.mark.parametrize(
    ("name", "header", "rows", "message"),
    [
        (
            EVENTS_NAME,
            "user_id track_id timestamp",
            [("1", "a", "2018-02-30 00:00:00")],
            "line 2, column 'timestamp'",
        ),
        (
            EVENTS_NAME,
            "user_id track_id timestamp",
            [("1", "a")],
            "line 2: found 2 columns, allowed are 3",
        ),
        (EVENTS_NAME, "user_id track_id", [("1", "a")], "line 1: no column 'timestamp'"),
        (
            EVENTS_NAME,
            "user_id track_id timestamp",
            [("1", "a", "2017-01-01 00:00:00")],
            "none of the 1 events is from 20",
        ),
        (EVENTS_NAME, "user_id track_id timestamp", [], "there are no lines below the header"),
        (
            "users.tsv",
            "user_id country age gender creation_time",
            [("1", "DE", "x", "m", "")],
            "line 2, column 'age'",
        ),
        (
            "users.tsv",
            "user_id country age gender creation_time",
            [USERS[0], USERS[0]],
            "line 3, column 'user_id'",
        ),
        ("users.tsv", "user_id country", [("1", "DE")], "line 1: no column 'age'"),
        (
            "id_x.tsv",
            "id 0 1",
            [("track0001", 1, 2), ("track0002", 1, "nan")],
            "line 3, column '1': found 'nan'",
        ),
        ("id_x.tsv", "id 0 1", [("track0001", "inf", 2)], "line 2, column '0': found 'inf'"),
        ("id_x.tsv", "id 0 1", [("track0001", 1)], "line 2: found 2 columns, allowed are 3"),
        (
            "id_x.tsv",
            "id 0 1",
            [("track0001", 1, "two")],
            "line 2, column '1': found 'two', allowed is a number",
        ),
        (
            "id_x.tsv",
            "id 0",
            [("track0001", 1), ("track0001", 1)],
            "line 3, column 'id': found 'track0001'",
        ),
        ("id_x.tsv", "track 0", [("track0001", 1)], "line 1: found 'track'"),
        ("id_tags_dict.tsv", "id tags", [("track0001", "{'a': }")], "line 2, column 'tags': found"),
        ("id_tags_dict.tsv", "id tags", [("track0001", "['a']")], "line 2, column 'tags': found"),
        ("id_genres.tsv", "id a b", [("track0001", "rock", "x")], "line 1: found 3 columns"),
    ],
)
def test_names_line_of_wrong_cells(
    source: Path,
    convert: Convert,
    name: str,
    header: str,
    rows: list[tuple[object, ...]],
    message: str,
) -> None:
    write(source / name, header, rows)
    with pytest.raises(DataError, match=f"{name}[:,] {message}"):
        convert()
    assert not (source.parent / "out" / "music4all-onion").exists()


def test_refuses_folders_and_wrong_options(source: Path, convert: Convert) -> None:
    with pytest.raises(DataError, match="--age_range: found 80 10"):
        convert("--age_range", "80", "10")
    with pytest.raises(DataError, match="--countries: found -1"):
        convert("--countries=-1")
    with pytest.raises(DataError, match=f"has no {COUNTS_NAME}"):
        convert("--interactions=counts")
    (source / f"{EVENTS_NAME}.bz2").write_bytes(
        bz2.compress(b"user_id\ttrack_id\ttimestamp\n" * 99)[:-9]
    )
    with pytest.raises(DataError, match="ends early"):
        convert()


def test_defaults_are_those_of_the_papers() -> None:
    paths = ["--input_path=a", "--output_path=b"]
    options = command.build_parser().parse_args(["music4all-onion", *paths])
    assert (options.year, options.min_interactions, options.k_core) == (2018, 2, 5)
    assert (options.age_range, options.countries, options.min_rating) == ([10, 80], 10, None)
