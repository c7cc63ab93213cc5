from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recbole_sibrar.data.atomic import DataError, Field
from recbole_sibrar.dataset_prep.pipeline.columns import CodeColumn, NumberColumn
from recbole_sibrar.dataset_prep.pipeline.writing import (
    check_target,
    replacing_folder,
    write_atomic,
)


def test_writes_a_line_for_each_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_sibrar.dataset_prep.pipeline.writing.NUMBERS_PER_BLOCK", 6)
    columns = [
        CodeColumn(Field("user_id", "token"), np.array([1, 0, 1, 1, 0]), pa.array(["é", "b"])),
        NumberColumn(Field("rating", "float"), np.array([1, 2.5, np.nan, 4, 5])),
    ]
    write_atomic(tmp_path / "d.inter", 5, columns)
    lines = (tmp_path / "d.inter").read_bytes().decode("utf-8").split("\n")
    assert lines == ["user_id:token\trating:float", "b\t1", "é\t2.5", "b\t", "b\t4", "é\t5", ""]


def test_complete_folder_replaces_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for text in ("first", "second"):
        with replacing_folder(folder) as (new, scratch):
            (new / "d.inter").write_text(text)
            (scratch / "vectors").write_text("x")
            assert folder.exists() == (text == "second")
        assert (folder / "d.inter").read_text() == text
        assert os.listdir(tmp_path) == ["d"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, DataError])
def test_interruption_keeps_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "d.inter").write_text("before")

    def fail(folder: Path) -> None:
        with replacing_folder(folder) as (new, _):
            (new / "d.inter").write_text("half")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail(tmp_path / "d")
    with pytest.raises(error, match="stop"):
        fail(tmp_path / "e")
    assert os.listdir(tmp_path) == ["d"]
    assert (tmp_path / "d" / "d.inter").read_text() == "before"


def test_a_failed_replacement_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "d.inter").write_text("before")
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        if source.name == "new":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "d"):
        pass
    assert (tmp_path / "d" / "d.inter").read_text() == "before"


def test_overwrites_data_sets_on_request(tmp_path: Path) -> None:
    source, folder = tmp_path / "raw", tmp_path / "out" / "d"
    source.mkdir()
    check_target(folder, source, overwrite=False)
    folder.mkdir()
    for name in ("d.inter", ".d.item.cache", "report.md"):
        (folder / name).write_text("x")
    with pytest.raises(DataError, match="d exists; replace it with --overwrite"):
        check_target(folder, source, overwrite=False)
    check_target(folder, source, overwrite=True)
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match=r"holds thesis.tex, which is no file of a data set"):
        check_target(folder, source, overwrite=True)


@pytest.mark.parametrize("inside", ["", "deep"])
def test_raw_data_are_never_replaced(tmp_path: Path, inside: str) -> None:
    (tmp_path / "d" / inside).mkdir(parents=True)
    with pytest.raises(DataError, match="would replace the raw data"):
        check_target(tmp_path / "d", tmp_path / "d" / inside, overwrite=True)


def test_refuses_a_file_as_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(DataError, match="--output_path: cannot write to"):
        check_target(tmp_path / "out" / "d", tmp_path / "raw", overwrite=False)


def test_replaces_a_set_with_caches(tmp_path: Path) -> None:
    (tmp_path / "d" / "d.item.cache" / "0123").mkdir(parents=True)
    (tmp_path / "d" / "d.item").write_text("item_id:token\n")
    check_target(tmp_path / "d", tmp_path / "raw", overwrite=True)
    (tmp_path / "d" / "d.item.notes").mkdir()
    with pytest.raises(DataError, match=r"holds d.item.notes, which is no file of a data set"):
        check_target(tmp_path / "d", tmp_path / "raw", overwrite=True)


@pytest.mark.parametrize("there", [False, True])
def test_recovers_from_a_killed_command(tmp_path: Path, there: bool) -> None:
    left = tmp_path / ".d.writing"
    (left / "new").mkdir(parents=True)
    (left / "new" / "d.inter").write_text("half")
    aside = tmp_path / "d" if there else left / "old"
    aside.mkdir()
    (aside / "d.inter").write_text("before")

    def fail() -> None:
        with replacing_folder(tmp_path / "d") as (new, scratch):
            assert os.listdir(new) + os.listdir(scratch) == []
            raise DataError("wrong")

    with pytest.raises(DataError, match="wrong"):
        fail()
    assert os.listdir(tmp_path) == ["d"]
    assert (tmp_path / "d" / "d.inter").read_text() == "before"
