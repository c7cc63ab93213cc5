"""Data sets that are saved, and read again where they are those that a run would make."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_logger, init_seed

MODELS = ["BPR", "SiBraR"]
LOADED = "Load filtered dataset from"
SPLIT = {"split": {"RS": [0.5, 0.2, 0.3]}, "group_by": "user", "order": "RO", "mode": "full"}


Parts = Callable[..., list[list[tuple[str, str]]]]


@pytest.fixture
def parts(make_config: Callable[..., Config], caplog: pytest.LogCaptureFixture) -> Parts:
    """Pairs of user and item in training, validation and test, in order: ``parts("BPR", seed=3)``."""
    caplog.set_level("INFO")

    def build(model: str, **keys: Any) -> list[list[tuple[str, str]]]:
        config = make_config(model, **{"checkpoint_dir": "saved", "state": "INFO", **keys})
        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        dataset = create_dataset(config)
        found = []
        for loader in data_preparation(config, dataset):
            assert loader.dataset.config is config
            rows = loader.dataset.inter_feat
            columns = (dataset.id2token(name, rows[name]) for name in ("user_id", "item_id"))
            found.append(list(zip(*columns, strict=True)))
        return found

    return build


@pytest.mark.parametrize("model", MODELS)
def test_equal_runs_read_it(parts: Parts, model: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = parts(model, save_dataset=True)
    assert LOADED not in caplog.text
    assert parts(model) == expected
    assert LOADED in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_it_is_divided_as_the_run_asks(
    parts: Parts, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = parts(model, save_dataset=True)
    found = parts(model, eval_args=SPLIT)
    assert LOADED in caplog.text
    assert found != first
    assert found == parts(model, eval_args=SPLIT, checkpoint_dir="other")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("suffix", ["inter", "item"])
def test_changed_files_are_read(
    parts: Parts, tiny_folder: Path, caplog: pytest.LogCaptureFixture, model: str, suffix: str
) -> None:
    keys = {"load_col": {"inter": ["user_id", "item_id"], "item": ["item_id", "kind"]}}
    parts(model, save_dataset=True, **keys)
    file = tiny_folder / "tiny" / f"tiny.{suffix}"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:-5]) + "\n", encoding="utf-8")

    found = parts(model, save_dataset=True, **keys)
    assert "made anew, and not read from saved/tiny-" in caplog.text
    assert f"tiny.{suffix} changed since" in caplog.text
    assert found == parts(model, checkpoint_dir="other", **keys)
    assert LOADED not in caplog.text.split("changed since")[1]
    assert parts(model, **keys) == found  # saved again
    assert LOADED in caplog.text.split("changed since")[1]


def test_data_of_the_same_name_are_others(parts: Parts, tiny_folder: Path, tmp_path: Path) -> None:
    parts("SiBraR", save_dataset=True)
    other = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(tiny_folder / "tiny", other)
    file = other / "tiny.inter"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:20]) + "\n", encoding="utf-8")
    assert sum(map(len, parts("SiBraR", data_path=str(other.parent)))) == 19


def test_it_is_enough_without_files(parts: Parts, tiny_folder: Path) -> None:
    expected = parts("SiBraR", save_dataset=True)
    for file in (tiny_folder / "tiny").iterdir():
        file.unlink()
    assert parts("SiBraR") == expected


def test_a_named_file_not_read_is_a_warning(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    expected = parts("BPR", save_dataset=True)
    caplog.clear()
    asked = {"dataset_save_path": "saved/tiny-Dataset.pth", "encoding": "latin-1"}
    assert parts("BPR", **asked) == expected
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.getMessage() == (
        "dataset_save_path: the data set is made anew, and not read from saved/tiny-Dataset.pth: "
        "encoding: None there, latin-1 here"
    )
