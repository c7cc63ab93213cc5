from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import read_frame, read_header
from recbole_sibrar.files import locked

N_USERS, N_ITEMS, SIZE = 24, 16, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MovieLens-1M; films 1 to 12 have a vector, film 16 has one rating; user 24 gives low ratings only."""
    folder = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(3)
    lines = []
    for user in range(1, N_USERS + 1):
        for item in range(1, N_ITEMS):
            if (user + item) % 4:
                lines.append(
                    f"{user}::{item}::{2 if user == N_USERS else 4}::{978300000 + len(lines)}"
                )
    lines += ["1::16::5::1"]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    users = [
        f"{user}::{'FM'[user % 2]}::25::{user % 5}::1000{user % 9}"
        for user in range(1, N_USERS + 1)
    ]
    (folder / "users.dat").write_text("\n".join(users) + "\n")
    items = [
        f"{item}::Film {item} ({1980 + item})::{'Drama|Comedy' if item % 2 else ''}"
        for item in range(1, 17)
    ]
    (folder / "movies.dat").write_text("\n".join(items) + "\n")
    np.savez(
        folder / "text.npz",
        ids=np.arange(1, 13),
        vectors=rng.normal(size=(12, SIZE)).astype(np.float32),
    )
    return folder


@pytest.fixture
def prepare(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command; returns its exit status, output and errors."""

    def run(*arguments: str, converter: str = "ml-1m") -> tuple[int, str, str]:
        paths = [f"--input_path={folder}", f"--output_path={tmp_path / 'dataset'}"]
        status = cli.main(["prepare", converter, *paths, *arguments])
        return status, *capsys.readouterr()

    return run


def ids(path: Path, name: str) -> set[str]:
    return set(read_frame(path, read_header(path))[name])


def test_the_output_is_what_the_report_says(
    prepare: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
) -> None:
    status, output, _ = prepare(f"--item_feature=text={folder / 'text.npz'}", "--dataset=small")
    target = tmp_path / "dataset" / "small"
    assert (status, sorted(os.listdir(tmp_path / "dataset"))) == (0, ["small"])
    names = ["report.json", "report.md", "small.inter", "small.item", "small.user", "small.yaml"]
    assert sorted(os.listdir(target)) == names
    report = json.loads((target / "report.json").read_text())
    lines = [line.split("::") for line in (folder / "ratings.dat").read_text().splitlines()]
    liked = {(user, item) for user, item, rating, _ in lines if float(rating) >= 3}
    # the papers: ratings from 3, 5-core
    left = {(user, item) for user, item in liked if item != "16"}
    steps = [[step["interactions"], step["users"], step["items"]] for step in report["steps"]]
    assert steps == [
        [len(pairs), *(len({pair[side] for pair in pairs}) for side in (0, 1))]
        for pairs in ({(line[0], line[1]) for line in lines}, liked, left)
    ]
    assert report["result"]["density"] == pytest.approx(len(left) / (23 * 15))
    inter = read_frame(target / "small.inter", read_header(target / "small.inter"))
    assert set(zip(inter["user_id"], inter["item_id"], strict=True)) == left
    assert ids(target / "small.user", "user_id") == {user for user, _ in left}
    assert ids(target / "small.item", "item_id") == {item for _, item in left}
    modalities = {
        m["name"]: (m["side"], m["type"], m["size"], m["missing_share"])
        for m in report["modalities"]
    }
    assert modalities["genres"] == ("item", "token_seq", 2, pytest.approx(7 / 15))
    assert modalities["text"] == ("item", "float_seq", SIZE, pytest.approx(3 / 15))
    assert modalities["occupation"] == ("user", "token", 5, 0)
    assert report["options"]["k_core"] == 5
    for source, n in (("users.dat", N_USERS), ("movies.dat", N_ITEMS)):
        assert (
            report["notes"].count(
                f"{source}: 1 of {n} lines were left out: no interaction of theirs is kept."
            )
            == 1
        )
    assert f"| {len(left)} | 23 | 15 |" in (target / "report.md").read_text()
    assert f"{len(left):>13,} {23:>9} {15:>9}  5-core" in output


def test_drop_incomplete_keeps_complete_core(
    prepare: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
) -> None:
    vectors = f"--item_feature=text={folder / 'text.npz'}"
    assert (
        prepare(vectors, "--drop_incomplete", "--item_features=genres,text", "--k_core=4")[0] == 0
    )
    target = tmp_path / "dataset" / "ml-1m"
    items = read_frame(target / "ml-1m.item", read_header(target / "ml-1m.item"))
    assert list(items.columns) == ["item_id", "genres", "text"]
    # odd ones have genres, those to 12 a vector
    assert set(items["item_id"]) == {
        "1",
        "3",
        "5",
        "7",
        "9",
        "11",
    }
    stored = dict(zip(*np.load(folder / "text.npz").values(), strict=True))
    for item, vector in zip(items["item_id"], items["text"], strict=True):
        np.testing.assert_array_equal(np.asarray(vector, dtype=np.float32), stored[int(item)])
    inter = read_frame(target / "ml-1m.inter", read_header(target / "ml-1m.inter"))
    assert inter.groupby("user_id").size().min() >= 4
    assert set(inter["user_id"]) == ids(target / "ml-1m.user", "user_id")
    assert {
        m["missing_share"] for m in json.loads((target / "report.json").read_text())["modalities"]
    } == {0}


def test_unrated_films_are_kept_on_request(
    prepare: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
) -> None:
    movies = (folder / "movies.dat").read_text()
    (folder / "movies.dat").write_text(f"{movies}17::Film 17 (1999)::Drama\n")
    try:
        status, output, _ = prepare("--keep_items=all")
    finally:
        (folder / "movies.dat").write_text(movies)
    assert status == 0
    found = ids(tmp_path / "dataset" / "ml-1m" / "ml-1m.item", "item_id")
    # 16 was rated, and is not in the 5-core
    assert found == {str(item) for item in range(1, 18) if item != 16}
    assert "note: 1 items without any interaction are kept" in output


def test_writes_chosen_fields_and_files_only(
    prepare: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert (
        prepare(
            "--user_features=none", "--item_features=year", "--convert_inter", "--convert_item"
        )[0]
        == 0
    )
    target = tmp_path / "dataset" / "ml-1m"
    names = [field.name for field in read_header(target / "ml-1m.item")]
    assert names == ["item_id", "year"]
    assert not (target / "ml-1m.user").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--item_features=genre"], "--item_features: found 'genre', .*; did you mean 'genres'?"),
        (["--item_feature=text"], "--item_feature: found 'text', allowed is NAME=FILE"),
        (["--item_feature=text=none.npz"], "the feature 'text': there is no file none.npz"),
        (["--item_feature=gender={folder}/text.npz"], "users and items both have a field 'gender'"),
        (["--item_feature=rating={folder}/text.npz"], "a field cannot be named 'rating'"),
        (["--item_feature=year={folder}/text.npz"], "two fields of the items are named 'year'"),
        (["--k_core=-1"], "--k_core: found -1, allowed is 0 or more"),
        (["--k_core=500"], "no interactions are left after this filter: 500-core"),
        (["--min_rating=nan"], "argument --min_rating: found 'nan', allowed is a number or none"),
        (
            ["--k_core=five"],
            "argument --k_core: invalid int value: 'five'; recbole-sibrar prepare ml-1m --help",
        ),
        (["--keep_items=some"], "argument --keep_items: invalid choice: 'some'"),
        (["--min_rating=9"], "no interactions are left after this filter: rating of at least 9"),
        (["--dataset=ml-100k"], "RecBole reads 'ml-100k' from its own folder only"),
        (["--kcore=5"], "there is no option --kcore=5; did you mean '--k_core'?"),
        (
            ["--item_feture", "a=b"],
            "there is no option --item_feture; did you mean '--item_feature'?",
        ),
        (["--dataset=a/b"], "--dataset: found 'a/b'"),
        (["--input_path=nowhere"], "--input_path: there is no folder nowhere"),
    ],
)
def test_wrong_input_ends_in_one_line(
    prepare: Callable[..., tuple[int, str, str]],
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    status, _, errors = prepare(*(argument.format(folder=folder) for argument in arguments))
    assert status == cli.WRONG_INPUT
    (line,) = errors.splitlines()
    assert line.startswith("recbole-sibrar prepare: error: ")
    assert message.replace(".*", "") in line or all(part in line for part in message.split(".*"))
    assert not list((tmp_path / "dataset").glob("*"))
    assert not list((tmp_path / "dataset").glob(".*"))


def test_replaces_a_data_set_on_request(
    prepare: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert prepare()[0] == 0
    before = (tmp_path / "dataset" / "ml-1m" / "ml-1m.item").read_bytes()
    status, _, errors = prepare("--item_features=year")
    assert (status, "exists; replace it with --overwrite" in errors) == (cli.WRONG_INPUT, True)
    assert (tmp_path / "dataset" / "ml-1m" / "ml-1m.item").read_bytes() == before
    assert prepare("--item_features=year", "--overwrite")[0] == 0
    assert (tmp_path / "dataset" / "ml-1m" / "ml-1m.item").read_bytes() != before


def test_one_command_writes_a_data_set(
    prepare: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "dataset").mkdir()
    with locked(tmp_path / "dataset" / "ml-1m", "--output_path"):
        status, _, errors = prepare()
        assert (status, "--output_path: another command is writing" in errors) == (
            cli.WRONG_INPUT,
            True,
        )
        assert prepare("--dataset=other")[0] == 0
    assert prepare()[0] == 0
    assert {path.name for path in (tmp_path / "dataset").iterdir()} == {"ml-1m", "other"}


def test_an_interruption_leaves_nothing(
    prepare: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "recbole_sibrar.dataset_prep.pipeline.reporting.Report.as_markdown", interrupt
    )
    assert prepare()[0] == cli.INTERRUPTED
    assert list((tmp_path / "dataset").iterdir()) == []


def test_the_module_is_the_command(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recbole_sibrar.dataset_prep", "ml-1m", "--help"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "usage: recbole-sibrar prepare ml-1m" in found
    shown = " ".join(found.split())
    assert "leave out lower ratings (default: 3.0, as in the papers)" in shown
    assert "has N interactions or more (default: 5, as in the papers)" in shown


def test_help_names_defaults_of_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["prepare", "amazon-2023", "--help"])
    assert "leave out lower ratings (default: none, as in the papers)" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_models_train_on_the_output(
    prepare: Callable[..., tuple[int, str, str]],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: str,
) -> None:
    assert prepare(f"--item_feature=text={folder / 'text.npz'}")[0] == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    caplog.set_level("INFO")
    assert cli.run_recbole([f"--model={model}", "--dataset=ml-1m", "--epochs=1"]) == 0
    assert "test result" in caplog.text
    assert "'inter': ['user_id', 'item_id', 'rating', 'timestamp']" in caplog.text
    assert ("item field: text" in caplog.text) == (model == "SiBraR")
