"""Values of any class in a configuration: what the run has, and what its checkpoint holds."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from recbole.config import Config
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.trainer.plain_values import held, plain

Build = Callable[..., tuple[Any, ...]]
Pair = namedtuple("Pair", "first second")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Loss(str, Enum):
    BPR = "BPR"


PLAIN = [
    (Path("/data/x"), "/data/x"),
    (np.int64(3), 3),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([Path("a"), None], dtype=object), ["a", None]),
    (np.datetime64("2018-12-31"), "2018-12-31"),
    (pd.Series([0.5, 2]), [0.5, 2.0]),
    (pd.Timestamp("2018-12-31 10:00"), "2018-12-31 10:00:00"),
    (date(2018, 12, 31), "2018-12-31"),
    (datetime(2018, 12, 31, 10), "2018-12-31 10:00:00"),
    (Decimal("1.5"), 1.5),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ab"), ["a", "b"]),
    (range(3), [0, 1, 2]),
    (OrderedDict(a=Path("b")), {"a": "b"}),
    (defaultdict(list, a=[np.int64(1)]), {"a": [1]}),
    ({"a": [{"b": (Path("c"), np.float64(1.0))}]}, {"a": [{"b": ("c", 1.0)}]}),
    ({np.int64(1): np.int64(2)}, {1: 2}),
]
HELD = [
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Loss.BPR, "BPR"),
    (Pair(1, Path("x")), (1, "x")),
    (torch.device("cpu"), torch.device("cpu")),
    (torch.complex64, torch.complex64),
    (torch.float8_e4m3fn, torch.float8_e4m3fn),
    (b"x", b"x"),
    (1j, 1j),
]
REFUSED = [len, int, lambda: None, torch.nn.Linear(1, 1), object(), np.float64]


def settings(**keys: Any) -> dict[str, Any]:
    return {
        "epochs": 1,
        "show_progress": False,
        "state": "ERROR",
        "checkpoint_dir": "saved",
        **keys,
    }


@pytest.mark.parametrize(("value", "expected"), PLAIN)
def test_plain_values_are_those_of_the_run(
    make_config: Callable[..., Config], value: Any, expected: Any
) -> None:
    found = make_config(model="BPR", own_key=value)["own_key"]
    assert found == expected
    assert type(found) is type(expected)
    assert yaml.safe_dump(plain({"key": value}))  # none of a class that yaml does not know


def test_every_value_can_be_read_again(make_model: Build) -> None:
    values = [*PLAIN, *HELD]
    keys = {f"own_{n}": value for n, (value, _) in enumerate(values)}
    tensor = torch.arange(3.0)
    config, model, train, valid, _ = make_model(
        model="BPR", **keys, tensor=tensor, nested={"t": [tensor]}
    )
    assert config["own_20"] is Colour.RED  # the run has what the user gave it
    trainer = Trainer(config, model)
    trainer.fit(train, valid)
    read = load_data_and_model(trainer.saved_model_file)[0]
    assert [read[key] for key in keys] == [expected for _, expected in values]
    assert read["tensor"].tolist() == read["nested"]["t"][0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", REFUSED)
def test_others_are_left_out_with_a_warning(
    make_model: Build, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    config, model, train, valid, _ = make_model(
        model="BPR", own_key=value, other={"nested": [value]}
    )
    assert config["own_key"] is value
    said = [text for text in caplog.messages if "no checkpoint can hold" in text]
    assert [text.split("'")[1] for text in said] == ["own_key", "other"]
    trainer = Trainer(config, model)
    trainer.fit(train, valid)
    read = load_checkpoint(trainer.saved_model_file)["config"]
    assert "own_key" not in read
    assert "other" not in read
    assert read["epochs"] == 2
    assert config["own_key"] is value


def test_a_class_declared_safe_is_kept(make_model: Build) -> None:
    torch.serialization.add_safe_globals([Colour])
    try:
        config, model, train, _, _ = make_model(model="BPR", own_key=Colour.RED)
        trainer = Trainer(config, model)
        trainer.fit(train)
        assert load_checkpoint(trainer.saved_model_file)["config"]["own_key"] is Colour.RED
    finally:
        torch.serialization.clear_safe_globals()


@pytest.mark.parametrize("how", ["file", "data set's file", "dictionary", "later"])
def test_values_come_from_anywhere(
    make_config: Callable[..., Config], tiny_folder: Path, tmp_path: Path, how: str
) -> None:
    lines = "since: 2018-12-31\nvalues: !!set {b, a}\nnested: {list: [2018-12-31]}\n"
    expected = {"since": "2018-12-31", "values": ["a", "b"], "nested": {"list": ["2018-12-31"]}}
    given = yaml.safe_load(lines)
    sources: dict[str, Any] = {
        "model": "BPR",
        "dataset": "tiny",
        "config_dict": {"data_path": tiny_folder},
    }
    make_config()  # goes to the working folder
    if how == "file":
        (tmp_path / "keys.yaml").write_text(lines)
        config = Config(**sources, config_file_list=[tmp_path / "keys.yaml"])
    elif how == "data set's file":
        (tiny_folder / "tiny" / "tiny.yaml").write_text(lines)
        config = Config(**sources)
    else:
        config = Config(
            **{
                **sources,
                "config_dict": {"data_path": tiny_folder, **(given if how == "dictionary" else {})},
            }
        )
    if how == "later":
        for key, value in given.items():
            config[key] = value
    assert {key: config[key] for key in expected} == expected


@pytest.mark.slow
def test_our_keys_take_paths_and_arrays(
    make_config: Callable[..., Config],
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    keys = {
        **{
            "data_path": tiny_folder,
            "checkpoint_dir": Path("saved"),
            "save_per_user": Path("users.parquet"),
        },
        **{
            "embedding_size": np.int64(8),
            "branch_hidden_sizes": np.array([8]),
            "epochs": np.int64(1),
        },
        "topk": np.array([5, 10]),
    }
    result = run_recbole("SiBraR", "tiny", config_dict=settings(**keys))["test_result"]
    assert {key.split("@")[1] for key in result} == {"5", "10"}
    assert Path("users.parquet").is_file()
    (file,) = Path("saved").glob("*.pth")
    assert load_data_and_model(str(file))[0]["branch_hidden_sizes"] == [8]


def test_file_of_a_model_without_progress(make_model: Build) -> None:
    config, model, *_ = make_model(model="BPR", own_key=len, path=Path("x"))
    trainer = Trainer(config, model)
    trainer._save_checkpoint(0)
    assert load_checkpoint(trainer.saved_model_file)["config"]["path"] == "x"


def test_what_is_held_is_plain() -> None:
    assert all(type(held(value)) is type(expected) for value, expected in [*PLAIN, *HELD])
