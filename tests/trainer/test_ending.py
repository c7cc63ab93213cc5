"""The end of a run, in every way in which a program can end it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.quick_start import run_recbole
from recbole.trainer import Trainer

Build = Callable[..., tuple[Any, ...]]
KEYS: dict[str, Any] = {"epochs": 3, "checkpoint_dir": "saved", "stopping_step": 100}
RATIOS = {"split": {"RS": [0.9, 0.1, 0.0]}, "group_by": "user", "mode": "full"}
NO_TEST = [
    RATIOS,
    {**RATIOS, "mode": "uni5"},
    {**RATIOS, "group_by": None},
    {"split": {"LS": "valid_only"}, "group_by": "user", "mode": "full"},
]


def states() -> list[str]:
    return sorted(
        file.stem.split("-")[-1] for file in Path("saved").glob("*-*") if "last" in file.name
    )


def fit(make_model: Build, **keys: Any) -> tuple[Trainer, Any, Any]:
    """Train, and return the trainer with the loaders of validation and test."""
    config, model, train, valid, test = make_model(**{**KEYS, "model": "BPR", **keys})
    trainer = Trainer(config, model)
    trainer.saved_model_file = "saved/a.pth"
    trainer.best = trainer.fit(train, valid)
    return trainer, valid, test


@pytest.mark.parametrize("arguments", NO_TEST)
def test_training_without_test_ends_the_run(make_model: Build, arguments: dict[str, Any]) -> None:
    trainer, _, test = fit(make_model, eval_args=arguments)
    assert states() == []
    assert trainer.evaluate(test) is None
    assert Path("saved/a.pth").is_file()


@pytest.mark.slow
def test_auto_does_not_go_on_with_such_a_run(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    keys = {
        **KEYS,
        "data_path": tiny_folder,
        "eval_args": RATIOS,
        "resume": "auto",
        "show_progress": False,
    }
    results = [run_recbole("BPR", "tiny", config_dict={**keys, "state": "INFO"}) for _ in range(2)]
    assert results[0]["best_valid_result"] == results[1]["best_valid_result"]
    assert caplog.text.count("resume: starts anew") == 2
    assert sum("epoch 0 training" in text for text in caplog.messages) == 2


def test_state_of_an_earlier_version(
    make_model: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with monkeypatch.context() as context:
        context.setattr("recbole_sibrar.trainer.ending.end_run", lambda progress: None)
        fit(make_model, eval_args=RATIOS)
    assert states() == ["last"]
    trainer, *_ = fit(make_model, eval_args=RATIOS, resume="auto", state="INFO")
    assert trainer.start_epoch == 0
    assert "saved/a-last.pth, whose run has ended" in caplog.text


def test_what_is_no_test_ends_nothing(make_model: Build) -> None:
    trainer, valid, test = fit(make_model)
    trainer.evaluate(valid)
    assert states() == ["last"]
    other = Path("saved/a.pth").rename("other.pth")
    trainer.evaluate(test, model_file=str(other))
    assert states() == ["last"]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"load_best_model": False},
        {"model_file": "saved/a.pth"},
        {"model_file": Path("saved") / ".." / "saved/a.pth"},
    ],
)
def test_every_test_of_the_run_ends_it(make_model: Build, how: dict[str, Any]) -> None:
    trainer, _, test = fit(make_model)
    assert trainer.evaluate(test, **how)
    assert states() == []


def test_early_test_does_not_end_the_run(make_model: Build) -> None:
    config, model, train, valid, test = make_model(**KEYS, model="BPR")
    trainer, found = Trainer(config, model), []

    def look(epoch: int, score: float) -> None:
        trainer.evaluate(test)
        found.append(states())

    trainer.fit(train, valid, callback_fn=look)
    assert found[1:] == [["last"]] * 2
    assert states() == ["last"]


def test_ended_run_is_left_out(make_model: Build, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    fit(make_model)
    trainer, *_ = fit(make_model, resume="auto", state="INFO")
    assert trainer.start_epoch == 0
    assert "whose run has ended" in caplog.text


PROGRAM = """
import sys
import recbole_sibrar
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_logger, init_seed
folder, how = sys.argv[1:]
sys.argv = sys.argv[:1]
keys = {"data_path": folder, "epochs": 2, "show_progress": False, "state": "INFO", "resume": "auto"}
config = Config("BPR", "tiny", config_dict={**keys, "checkpoint_dir": "saved"})
init_seed(config["seed"], True)
init_logger(config)
train, valid, test = data_preparation(config, create_dataset(config))
trainer = Trainer(config, get_model("BPR")(config, train._dataset))
trainer.fit(train, valid)
print("started with", trainer.start_epoch)
if how == "test fails":
    trainer._full_sort_batch_eval = None
if how == "fails":
    raise RuntimeError
if how.startswith("test"):
    try:
        trainer.evaluate(test)
    except TypeError:
        sys.exit(1)
"""


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("how", "kept"), [("ends", False), ("fails", True), ("test fails", True), ("test", False)]
)
def test_a_program_without_a_test_ends_it(
    tiny_folder: Path, tmp_path: Path, how: str, kept: bool
) -> None:
    def run(how: str) -> str:
        command = [sys.executable, "-c", PROGRAM, str(tiny_folder), how]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False
        ).stdout

    assert "started with 0" in run(how)
    assert len(list((tmp_path / "saved").glob("*-last.pth"))) == kept
    assert f"started with {2 * kept}" in run("ends")
    assert not list((tmp_path / "saved").glob("*-last.pth"))
