"""Configuration file beside the atomic files of a data set."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset
from recbole.quick_start import run_recbole

from recbole_sibrar.config import ConfigError

KEYS = {
    "load_col": {"inter": ["user_id", "item_id", "rating"]},
    "normalize_field": ["price", "rating"],
    "topk": [7],
    "valid_metric": "MRR@7",
}
MODELS = ["SiBraR", "BPR"]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``dataset/tiny`` and its configuration."""
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    lines = [f"{key}: {value}" for key, value in KEYS.items()]
    (tiny_folder / "tiny" / "tiny.yaml").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("model", MODELS)
def test_keys_of_the_user_go_first(folder: Path, model: str) -> None:
    config = Config(model, "tiny")
    assert config["topk"] == [7]
    assert config["load_col"]["inter"] == ["user_id", "item_id", "rating"]
    assert ("item" in config["load_col"]) == (model == "SiBraR")
    overridden = Config(
        model, "tiny", config_dict={"topk": [3], "load_col": {"inter": ["user_id", "item_id"]}}
    )
    assert overridden["topk"] == [3]
    assert overridden["load_col"] == {"inter": ["user_id", "item_id"]}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", ["file", "dictionary", "command line"])
def test_found_for_every_data_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, how: str
) -> None:
    (folder / "dataset").rename(folder / "elsewhere")
    (folder / "keys.yaml").write_text("data_path: elsewhere")
    if how == "command line":
        monkeypatch.setattr(sys, "argv", ["test", "--data_path=elsewhere"])
    files = ["keys.yaml"] if how == "file" else None
    keys = {"data_path": "elsewhere"} if how == "dictionary" else None
    assert Config(model, "tiny", config_file_list=files, config_dict=keys)["topk"] == [7]


@pytest.mark.parametrize("model", MODELS)
def test_without_it_nothing_changes(folder: Path, model: str) -> None:
    (folder / "dataset" / "tiny" / "tiny.yaml").unlink()
    config = Config(model, "tiny")
    assert config["topk"] == [10]
    assert config["normalize_field"] is None
    assert config["load_col"]["inter"] == ["user_id", "item_id"]


def test_not_read_for_ml_100k(folder: Path) -> None:
    (folder / "dataset" / "tiny").rename(folder / "dataset" / "ml-100k")
    (folder / "dataset" / "ml-100k" / "tiny.yaml").rename(
        folder / "dataset" / "ml-100k" / "ml-100k.yaml"
    )
    assert Config("BPR", "ml-100k")["topk"] == [10]


def test_loaded_fields_are_normalised(folder: Path) -> None:
    dataset = create_dataset(Config("SiBraR", "tiny"))
    price = dataset.field_tables["item"]["price"]
    known = price.values[price.available].numpy()
    assert (known.min(), known.max()) == (0, 1)
    assert dataset.inter_feat["rating"].max() == 1
    interactions = create_dataset(Config("BPR", "tiny")).inter_feat
    assert sorted(np.unique(interactions["rating"]).tolist()) == [0, 0.25, 0.5, 0.75, 1]


def test_normalize_all_of_the_user(folder: Path) -> None:
    config = Config("SiBraR", "tiny", config_dict={"normalize_all": True})
    text = create_dataset(config).field_tables["item"]["text"]
    assert text.values[text.available].min() == 0
    untouched = Config("BPR", "tiny", config_dict={"normalize_field": None})
    assert create_dataset(untouched).inter_feat["rating"].max() == 5


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_run_from_python_uses_it(folder: Path, model: str) -> None:
    settings: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "ERROR"}
    result = run_recbole(model=model, dataset="tiny", config_dict=settings)
    assert {key.split("@")[1] for key in result["test_result"]} == {"7"}


@pytest.mark.slow
def test_parts_that_are_written_keep_it(folder: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "ERROR"}
    run_recbole(model="BPR", dataset="tiny", config_dict={**settings, "save_split": "parts"})
    keys = {"data_path": "parts", "benchmark_filename": ["train", "valid", "test"]}
    config = Config("BPR", "tiny", config_dict=keys)
    assert config["topk"] == [7]
    assert create_dataset(config).inter_feat["rating"].max() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topk: [", "tiny.yaml is not yaml: "),
        ("- topk", r"tiny.yaml: found \['topk'\], allowed are lines 'key: value'"),
    ],
)
def test_file_without_keys_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "dataset" / "tiny" / "tiny.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Config("BPR", "tiny")


def test_keys_known_to_the_command_line(folder: Path, make_config: Callable[..., Config]) -> None:
    (folder / "dataset" / "tiny" / "tiny.yaml").write_text("own_key_of_the_data_set: 1")
    assert make_config(own_key_of_the_data_set=2)["own_key_of_the_data_set"] == 2
