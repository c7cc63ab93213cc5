"""Conversion of CiteULike-a, on four articles and three users."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import read_frame, read_header
from recbole_sibrar.dataset_prep import command

FILES = {
    "users.dat": "3 0 1 2\n2 1 3\n2 0 3\n",
    "item-tag.dat": "2 1 0\n0\n1 2\n1 0\n",
    "tags.dat": "small world\necoli\nnaïve\n",
    "citations.dat": "1 2\n0\n1 0\n0\n",
    "mult.dat": "2 0:3 1:1\n1 1:1\n0\n1 0:7\n",
    "vocabulary.dat": "network\ngene\n",
    "raw-data.csv": '"doc.id","title","citeulike.id","raw.title","raw.abstract"\n'
    '1,"a",42,"The ""small"" world","Two\nlines, one cell"\n2,"b",43,"B",NA\n3,"c",44,"C","x"\n4,"d",45,"D",""\n',
}

SPLIT = {
    "warm_emb": [(0, 0), (1, 1), (2, 0)],
    "warm_val": [(0, 1)],
    "warm_test": [],
    "cold_item_val": [(0, 2)],
    "cold_item_test": [(1, 3), (2, 3)],
}

Prepare = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="latin-1")
    return folder


@pytest.fixture
def prepare(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prepare:
    def run(*options: str) -> Path:
        command.main(
            [
                "citeulike",
                f"--input_path={source}",
                f"--output_path={tmp_path / 'dataset'}",
                *options,
            ],
            print,
        )
        return tmp_path / "dataset" / "citeulike"

    return run


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """The parts, with an interaction of each part but that of the warm test."""
    folder = tmp_path / "split"
    folder.mkdir()
    for name, pairs in SPLIT.items():
        write_part(folder, name, pairs)
    return folder


def write_part(folder: Path, name: str, pairs: list[tuple[int, int]]) -> None:
    lines = "".join(f"{user},{item}\n" for user, item in pairs)
    (folder / f"{name}.csv").write_text(f"user,item\n{lines}")


def rows(folder: Path, ending: str) -> list[list[object]]:
    path = folder / f"citeulike.{ending}"
    frame = read_frame(path, read_header(path))
    return [list(row) for row in frame.itertuples(index=False)]


def test_reads_libraries_and_articles(prepare: Prepare) -> None:
    folder = prepare()
    pairs = [("0", "0"), ("0", "1"), ("0", "2"), ("1", "1"), ("1", "3"), ("2", "0"), ("2", "3")]
    assert rows(folder, "inter") == [list(pair) for pair in pairs]

    text = (folder / "citeulike.item").read_text(encoding="utf-8").splitlines()
    assert text[0] == "item_id:token\ttags:token_seq\tcitations:token_seq\twords:token_seq"
    assert text[1:] == [
        "0\tecoli small_world\t2\tnetwork gene",
        "1\t\t\tgene",
        "2\tnaïve\t0\t",
        "3\tsmall_world\t\tnetwork",
    ]
    assert not (folder / "citeulike.train.inter").exists()


def test_texts_are_for_encoding(source: Path) -> None:
    from recbole_sibrar.dataset_prep.converters.citeulike import reader

    raw = reader.read(source, None, "link")
    ids = raw.inter["item_id"].cat.categories
    title, abstract = (list(field.read(ids)) for field in raw.texts["item"])
    assert title == ['The "small" world', "B", "C", "D"]
    assert abstract == ["Two\nlines, one cell", None, "x", None]


def test_writes_the_published_parts(prepare: Prepare, split: Path) -> None:
    write_part(split, "warm_test", [(0, 0)])
    write_part(split, "warm_emb", [(1, 1), (2, 0)])
    folder = prepare(f"--split_path={split}")

    assert rows(folder, "train.inter") == [["1", "1"], ["2", "0"]]
    assert rows(folder, "cold_valid.inter") == [["0", "2"]]
    assert rows(folder, "cold_test.inter") == [["1", "3"], ["2", "3"]]
    assert rows(folder, "warm_valid.inter") == [["0", "1"]]
    assert rows(folder, "warm_test.inter") == [["0", "0"]]
    assert rows(folder, "valid.inter") == [["0", "1"], ["0", "2"]]
    assert rows(folder, "test.inter") == [["0", "0"], ["1", "3"], ["2", "3"]]
    assert "train 2, valid 2, test 3" in (folder / "report.md").read_text(encoding="utf-8")


def test_the_split_may_lie_beside_the_data(prepare: Prepare, source: Path) -> None:
    for name, pairs in SPLIT.items():
        write_part(source, name, pairs or [(0, 2)])
    write_part(source, "cold_item_val", [(0, 1)])
    write_part(source, "warm_val", [(1, 3)])
    write_part(source, "cold_item_test", [(2, 3)])
    folder = prepare()
    assert rows(folder, "warm_test.inter") == [["0", "2"]]


def test_pairs_without_a_part_are_counted(
    prepare: Prepare, split: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_part(split, "warm_test", [(0, 0)])
    write_part(split, "warm_emb", [(1, 1)])
    folder = prepare(f"--split_path={split}")
    assert "1 of 7 interactions are in no part of the split" in capsys.readouterr().out
    assert len(rows(folder, "inter")) == 7


def test_absent_files_are_noted(
    prepare: Prepare, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("item-tag.dat", "mult.dat", "raw-data.csv"):
        (source / name).unlink()
    folder = prepare()
    output = capsys.readouterr().out
    assert "There is no item-tag.dat: the articles have no tags." in output
    assert "There is no raw-data.csv" in output
    assert (folder / "citeulike.item").read_text().splitlines()[
        0
    ] == "item_id:token\tcitations:token_seq"


def test_libraries_alone_are_enough(prepare: Prepare, source: Path) -> None:
    for name in FILES:
        if name != "users.dat":
            (source / name).unlink()
    folder = prepare()
    assert len(rows(folder, "inter")) == 7
    assert not (folder / "citeulike.item").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("users.dat", "2 0\n", r"users.dat, line 1: found the length '2' before 1 entries"),
        ("users.dat", "1 0\n\n", r"users.dat, line 2: found the length '' before 0 entries"),
        (
            "users.dat",
            "1 4\n",
            r"users.dat, line 1: found '4', allowed is a number from 0 on below 4",
        ),
        ("users.dat", "1 -1\n", r"users.dat, line 1: found '-1', allowed is a number"),
        (
            "item-tag.dat",
            "0\n0\n1 3\n0\n",
            r"item-tag.dat, line 3: found '3', allowed is a number from 0 on below 3",
        ),
        ("mult.dat", "0\n0\n0\n1 x:1\n", r"mult.dat, line 4: found 'x:1', allowed is number:count"),
        ("mult.dat", "0\n0\n", r"mult.dat: found 2 lines, allowed are 4, one for each article"),
        (
            "raw-data.csv",
            "doc.id,raw.title\n",
            r"raw-data.csv, row 1: found the columns doc.id, raw.title",
        ),
        (
            "raw-data.csv",
            "doc.id,raw.title,raw.abstract\n2,a,b\n",
            r"raw-data.csv, row 2, column doc.id: found '2', allowed is 1",
        ),
        (
            "raw-data.csv",
            "doc.id,raw.title,raw.abstract\n1,a\n",
            r"raw-data.csv, row 2: found 2 columns",
        ),
        (
            "raw-data.csv",
            "doc.id,raw.title,raw.abstract\n1,a,b\n",
            r"raw-data.csv: found 1 articles, allowed are 4",
        ),
    ],
)
def test_a_wrong_line_is_named(
    prepare: Prepare, source: Path, name: str, text: str, message: str
) -> None:
    (source / name).write_text(text)
    with pytest.raises(command.DataError, match=message):
        prepare()


@pytest.mark.parametrize(
    ("part", "pairs", "message"),
    [
        (
            "warm_val",
            [(0, 3)],
            r"warm_val.csv, line 2, column item: found '3', allowed is an article in the library",
        ),
        ("warm_val", [(0, 0)], r"warm_val.csv: the pair 0 0 is in warm_emb.csv as well"),
        ("warm_test", [], r"no interaction is left in the part 'warm_test'"),
    ],
)
def test_a_wrong_split_is_refused(
    prepare: Prepare, split: Path, part: str, pairs: list[tuple[int, int]], message: str
) -> None:
    write_part(split, part, pairs)
    with pytest.raises(command.DataError, match=message):
        prepare(f"--split_path={split}")


def test_names_the_missing_part(prepare: Prepare, split: Path) -> None:
    (split / "warm_val.csv").unlink()
    with pytest.raises(
        command.DataError,
        match=r"--split_path: there is no file .*warm_val.csv; a split has warm_emb",
    ):
        prepare(f"--split_path={split}")


def test_names_the_missing_libraries(prepare: Prepare, source: Path) -> None:
    (source / "users.dat").unlink()
    with pytest.raises(
        command.DataError, match=r"--input_path: there is no file .*users.dat; download https://"
    ):
        prepare()


@pytest.mark.slow
def test_models_train_on_the_parts(
    prepare: Prepare,
    split: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_part(split, "warm_test", [(0, 0)])
    write_part(split, "warm_emb", [(1, 1), (2, 0)])
    prepare(f"--split_path={split}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    caplog.set_level("INFO")
    parts = [
        "--benchmark_filename=[train,cold_valid,cold_test]",
        "--eval_candidates=split",
        "--topk=1",
    ]
    options = ["--valid_metric=NDCG@1", "--metrics=[NDCG]"]
    assert cli.run_recbole(["--model=ContentKNN", "--dataset=citeulike", *parts, *options]) == 0
    assert "test result" in caplog.text
