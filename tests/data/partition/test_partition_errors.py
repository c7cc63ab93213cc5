"""Writing the parts of a split: failures leave nothing half-written, wrong parts are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from partitions import (
    READ,
    MakeConfig,
    cold,
    parts_of,
    rows,
)

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data import partition
from recbole_sibrar.data.atomic import DataError


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_no_file(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    original, folder = partition.write_frame, tmp_path / "split"

    def fail_at_test(path: Any, *args: Any) -> None:
        original(path, *args)
        if "test" in Path(path).name:
            raise error

    monkeypatch.setattr(partition, "write_frame", fail_at_test)
    expected = DataError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        parts_of(make_config(eval_args=cold("item"), save_split=str(folder)))
    assert list(folder.iterdir()) == []


def test_unwritable_folder_is_one_line(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"save_split: cannot write to .*file/split: Not a directory"
    ):
        parts_of(make_config(eval_args=cold("item"), save_split=str(tmp_path / "file" / "split")))


@pytest.mark.parametrize("saved", ["save_dataset", "save_dataloaders"])
def test_earlier_split_cannot_be_written(
    make_config: MakeConfig, tmp_path: Path, saved: str
) -> None:
    """RecBole reads saved data sets and loaders without a word; then nothing is split, and nothing would be written."""
    parts_of(make_config("BPR", eval_args=cold("item"), **{saved: True}))
    with pytest.raises(ConfigError, match=r"save_split: found .*, but nothing was split"):
        parts_of(make_config("BPR", eval_args=cold("item"), save_split=str(tmp_path / "split")))


@pytest.mark.parametrize("group_by", ["item", "user"])
def test_a_planted_leak_is_caught(make_config: MakeConfig, tmp_path: Path, group_by: str) -> None:
    """One interaction of a held-out entity among those of training, and nothing else wrong."""
    folder = tmp_path / "split"
    settings = {"data_path": str(folder), "benchmark_filename": READ, "eval_args": cold(group_by)}
    parts_of(make_config("BPR", eval_args=cold(group_by), save_split=str(folder)))
    parts_of(make_config("BPR", **settings))
    column = ("user", "item").index(group_by)
    leaked, known = rows(folder / "tiny.test.inter")[0], rows(folder / "tiny.train.inter")[0]
    pair = [known[0], leaked[1]] if group_by == "item" else [leaked[0], known[1]]
    with (folder / "tiny.train.inter").open("a", encoding="utf-8") as lines:
        lines.write("\t".join(pair) + "\n")
    for model in ("BPR", "SiBraR", "Pop"):
        with pytest.raises(DataError) as caught:
            parts_of(make_config(model, **settings))
        assert str(caught.value) == (
            f"cold start: {group_by} '{leaked[column]}' has interactions in both train and test, and so have 0 more; "
            f"no {group_by} may be in two parts"
        )


def test_two_files_are_no_cold_start(make_config: MakeConfig, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    parts_of(make_config("BPR", eval_args=cold("item"), save_split=str(folder)))
    with pytest.raises(
        ConfigError,
        match=r"benchmark_filename: found \['train', 'test'\], allowed is a list of three parts",
    ):
        parts_of(
            make_config(
                "BPR",
                eval_args=cold("item"),
                data_path=str(folder),
                benchmark_filename=["train", "test"],
            )
        )


def test_empty_file_of_a_part(make_config: MakeConfig, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    parts_of(make_config("BPR", eval_args=cold("item"), save_split=str(folder)))
    header, *_ = (folder / "tiny.valid.inter").read_text(encoding="utf-8").splitlines()
    (folder / "tiny.valid.inter").write_text(header + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="cold start: the part valid has no interactions"):
        parts_of(
            make_config(
                "BPR", eval_args=cold("item"), data_path=str(folder), benchmark_filename=READ
            )
        )
