"""Runs that are asked to stop, in this process: what goes on is the run that would have been."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from recbole.utils import get_trainer

from recbole_sibrar.config import ConfigError
from recbole_sibrar.trainer import interruption
from recbole_sibrar.trainer.interruption import TrainingStopped

Build = Callable[..., tuple[Any, ...]]
SIBRAR = {
    "epochs": 3,
    "dropout_prob": 0.3,
    "batch_norm": "last",
    "item_modalities": ["interactions", "text"],
    "user_modalities": "auto",
    "train_batch_size": 512,
    "stopping_step": 100,
    "learning_rate": 0.01,
}
PLAIN = {"model": "BPR", "epochs": 4, "train_batch_size": 64, "learning_rate": 0.01}
GRAPH = {"model": "CKE", "epochs": 3, "train_batch_size": 64, "learning_rate": 0.01}

Whole = Callable[..., tuple[dict[str, Any], int, int]]


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Run:
    """A run in which something happens at a batch of training or evaluation, counted from 0 over the whole run."""

    def __init__(self, make_model: Build, file: Path, **settings: Any) -> None:
        self.config, self.model, self.train, self.valid, self.test = make_model(**settings)
        self.trainer = get_trainer(self.config["MODEL_TYPE"], self.config["model"])(
            self.config, self.model
        )
        self.trainer.saved_model_file = str(file)
        self.file = file
        self.batches = 0

    def at(self, batch: int, act: Callable[[], None], function: str = "calculate_loss") -> Run:
        original, calls = getattr(self.model, function), []

        def counted(interaction: Any) -> Any:
            if len(calls) == batch:
                act()
            calls.append(None)
            return original(interaction)

        setattr(self.model, function, counted)
        return self

    def fit(self) -> dict[str, Any]:
        original = self.model.calculate_loss

        def counted(interaction: Any) -> Any:
            self.batches += 1
            return original(interaction)

        self.model.calculate_loss = counted
        score, valid = self.trainer.fit(self.train, self.valid)
        parameters = {name: value.clone() for name, value in self.model.state_dict().items()}
        losses = dict(self.trainer.train_loss_dict)
        test = dict(self.trainer.evaluate(self.test))
        return {
            "score": score,
            "valid": dict(valid),
            "losses": losses,
            "test": test,
            "parameters": parameters,
        }

    def stop(self) -> TrainingStopped:
        with pytest.raises(TrainingStopped) as stopped:
            self.fit()
        return stopped.value


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected["parameters"].items():
        assert torch.equal(found["parameters"][name], value), name
    assert {**found, "parameters": None} == {**expected, "parameters": None}


def last(file: Path) -> str:
    return str(file.with_name(f"{file.stem}-last.pth"))


@pytest.fixture(scope="module")
def finished() -> dict[str, Any]:
    """The outcomes of the runs that nobody stopped, by their settings."""
    return {}


@pytest.fixture
def whole(make_model: Build, tmp_path: Path, finished: dict[str, Any]) -> Whole:
    """Outcome, batches and batches an epoch of the same run on the small data set without a stop, trained only once."""

    def build(**settings: Any) -> tuple[dict[str, Any], int, int]:
        key = repr(sorted(settings.items()))
        if key not in finished:
            run = Run(make_model, tmp_path / "whole.pth", **settings)
            finished[key] = (run.fit(), run.batches, len(run.train))
        return finished[key]

    return build


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "workers", "at"),
    [
        (SIBRAR, (0, 0), 1),
        (SIBRAR, (0, 0), 9),
        (SIBRAR, (2, 0), 1),
        (SIBRAR, (0, 2), 9),
        (PLAIN, (0, 0), 1),
        (PLAIN, (0, 0), 11),
        (PLAIN, (2, 2), 1),
        (PLAIN, (2, 2), 11),
    ],
)
def test_stop_within_an_epoch(
    make_model: Build,
    tmp_path: Path,
    whole: Whole,
    settings: dict[str, Any],
    workers: tuple[int, int],
    at: int,
) -> None:
    # the number of workers makes no difference to our models
    expected, batches, per_epoch = whole(**settings, worker=0 if settings is SIBRAR else workers[0])
    assert per_epoch > 4
    part = tmp_path / "part.pth"
    stopped = Run(make_model, part, **settings, worker=workers[0]).at(at, ask)
    end = stopped.stop()
    assert stopped.batches == at + 1
    assert (
        str(end)
        == f"stopped by SIGTERM in epoch {at // per_epoch}; --resume={last(part)} continues this run"
    )
    assert (end.code, end.reason) == (143, "SIGTERM")
    resumed = Run(make_model, part, **settings, worker=workers[1], resume=last(part))
    assert_same(resumed.fit(), expected)
    assert resumed.batches == batches - stopped.batches


@pytest.fixture
def graph(tiny_folder: Path) -> Callable[[int], dict[str, Any]]:
    """Settings for a knowledge-based model, whose graph has so many triples."""

    def build(triples: int) -> dict[str, Any]:
        folder = tiny_folder / "tiny"
        links = [f"i{n}\te{n}" for n in range(1, 30)]
        (folder / "tiny.link").write_text(
            "\n".join(["item_id:token\tentity_id:token", *links]) + "\n"
        )
        facts = [f"e{n % 29 + 1}\tr{n % 3}\te{n % 41 + 1}" for n in range(triples)]
        header = "head_id:token\trelation_id:token\ttail_id:token"
        (folder / "tiny.kg").write_text("\n".join([header, *facts]) + "\n")
        columns = {"inter": ["user_id", "item_id"], "kg": ["head_id", "relation_id", "tail_id"]}
        return {**GRAPH, "load_col": {**columns, "link": ["item_id", "entity_id"]}}

    return build


@pytest.mark.slow
@pytest.mark.parametrize(
    ("triples", "worker", "at"), [(100, 0, 1), (100, 0, 3), (128, 0, 5), (900, 0, 2), (900, 2, 1)]
)
def test_stop_of_a_knowledge_based_model(
    make_model: Build,
    tmp_path: Path,
    graph: Callable[[int], dict[str, Any]],
    triples: int,
    worker: int,
    at: int,
) -> None:
    settings = {**graph(triples), "worker": worker}
    whole = Run(make_model, tmp_path / "whole.pth", **settings)
    expected = whole.fit()
    part = tmp_path / "part.pth"
    Run(make_model, part, **settings).at(at, ask).stop()
    resumed = Run(make_model, part, **settings, resume=last(part))
    assert_same(resumed.fit(), expected)
    assert resumed.batches == whole.batches - at - 1


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SIBRAR, PLAIN])
def test_stop_in_a_validation(
    make_model: Build, tmp_path: Path, whole: Whole, settings: dict[str, Any]
) -> None:
    settings = {
        **settings,
        "eval_args": {"mode": {"valid": "uni10", "test": "full"}},
        "eval_batch_size": 200,
    }
    expected, batches, per_epoch = whole(**settings)
    part, predict = tmp_path / "part.pth", "predict"
    stopped = Run(make_model, part, **settings).at(4, ask, predict)
    stopped.stop()
    assert stopped.batches % per_epoch == 0
    resumed = Run(make_model, part, **settings, resume=last(part))
    assert_same(resumed.fit(), expected)
    assert resumed.batches == batches - stopped.batches


@pytest.mark.slow
def test_stop_in_the_test(make_model: Build, tmp_path: Path, whole: Whole) -> None:
    expected, *_ = whole(**SIBRAR, worker=0)
    part = tmp_path / "part.pth"
    stopped = Run(make_model, part, **SIBRAR)
    stopped.at(SIBRAR["epochs"], ask, "full_sort_predict")  # after one batch of each validation
    assert (
        str(stopped.stop())
        == f"stopped by SIGTERM after the test; --resume={last(part)} continues this run"
    )
    best = part.read_bytes()
    resumed = Run(make_model, part, **SIBRAR, resume=last(part))
    assert_same(resumed.fit(), expected)
    assert resumed.batches == 0
    assert part.read_bytes() == best
    assert sorted(file.name for file in tmp_path.glob("part*.pth")) == ["part.pth"]


def test_resume_after_early_stopping(make_model: Build, tmp_path: Path) -> None:
    settings = {**PLAIN, "epochs": 60, "stopping_step": 3}
    expected = Run(make_model, tmp_path / "whole.pth", **settings).fit()
    assert max(expected["losses"]) < 59
    part = tmp_path / "part.pth"
    run = Run(make_model, part, **settings)
    run.at(max(expected["losses"]) + 1, ask, "full_sort_predict").stop()
    resumed = Run(make_model, part, **settings, resume=last(part))
    assert_same(resumed.fit(), expected)
    assert resumed.batches == 0


@pytest.mark.slow
def test_repeated_stops(make_model: Build, tmp_path: Path, whole: Whole) -> None:
    expected, *_ = whole(**SIBRAR, worker=0)
    part = tmp_path / "part.pth"
    Run(make_model, part, **SIBRAR).at(0, ask).stop()
    for at in (1, 0, 2, 5, 1):
        Run(make_model, part, **SIBRAR, resume=last(part)).at(at, ask).stop()
    assert_same(Run(make_model, part, **SIBRAR, resume=last(part)).fit(), expected)


def test_max_hours_saves_and_ends_in_time(
    make_model: Build, tmp_path: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, *_ = whole(**SIBRAR, worker=0)
    part = tmp_path / "part.pth"

    def hour_passes() -> None:
        monkeypatch.setattr(interruption, "_start", time.monotonic() - 3599)

    monkeypatch.setattr(interruption, "_start", time.monotonic())
    run = Run(make_model, part, **SIBRAR, max_hours=1).at(6, hour_passes)
    end = run.stop()
    assert (end.code, end.reason, run.batches) == (75, "max_hours", 7)
    assert "stopped by max_hours in epoch" in str(end)
    assert_same(Run(make_model, part, **SIBRAR, resume=last(part)).fit(), expected)


@pytest.mark.parametrize("value", [0, -1, "soon", float("inf")])
def test_a_wrong_number_of_hours_is_an_error(make_config: Callable[..., Any], value: Any) -> None:
    with pytest.raises(ConfigError, match="max_hours: found"):
        make_config(max_hours=value)


def test_max_hours_without_checkpoints(
    make_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interruption, "_start", time.monotonic() - 3599.9)
    run = Run(make_model, tmp_path / "none.pth", **PLAIN, max_hours=1)
    with pytest.raises(TrainingStopped, match="nothing was saved"):
        run.trainer.fit(run.train, run.valid, saved=False)
    assert not list(tmp_path.glob("*.pth"))


def test_signal_handlers_are_restored(make_model: Build, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    Run(make_model, tmp_path / "a.pth", **PLAIN).at(2, ask).stop()
    assert signal.getsignal(signal.SIGTERM) == before
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        Run(make_model, tmp_path / "b.pth", **PLAIN).at(2, ask).fit()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]


def test_training_in_another_thread_works(make_model: Build, tmp_path: Path) -> None:
    run, found = Run(make_model, tmp_path / "a.pth", **PLAIN), []
    thread = threading.Thread(target=lambda: found.append(run.fit()))
    thread.start()
    thread.join()
    assert max(found[0]["losses"]) == PLAIN["epochs"] - 1


@pytest.mark.slow
def test_gap_and_draws_survive_a_stop(
    make_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, dict[int, float]] = {}

    def run(name: str, at: int | None = None, **settings: Any) -> None:
        settings = {
            **SIBRAR,
            "gap_every": 1,
            "save_gap": f"{name}.csv",
            "save_learning_curve": f"{name}-curve.csv",
            **settings,
        }
        made = Run(make_model, tmp_path / f"{name}.pth", **settings)
        monkeypatch.setattr(
            made.trainer.tensorboard,
            "add_scalar",
            lambda tag, value, step: drawn.setdefault(f"{name} {tag}", {}).update({step: value}),
        )
        if at is None:
            made.fit()
        else:
            made.at(at, ask).stop()

    run("whole")
    run("part", 2)
    run("part", 9, resume=last(tmp_path / "part.pth"))
    run("part", resume=last(tmp_path / "part.pth"))
    for suffix in (".csv", "-curve.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(f"part{suffix}"), pd.read_csv(f"whole{suffix}"))
    tags = [tag.removeprefix("whole ") for tag in drawn if tag.startswith("whole ")]
    assert "Drawn/item/text" in tags
    for tag in tags:
        assert drawn[f"part {tag}"] == drawn[f"whole {tag}"], tag
