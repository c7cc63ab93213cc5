"""Search with Optuna: the draws, the trials that are stopped, and a search that continues."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recbole_sibrar import cli
from recbole_sibrar.quick_start.hyper.record import Record, Status, Trial
from recbole_sibrar.quick_start.hyper.space import Space, read_space

pytest.importorskip("optuna")

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from recbole_sibrar.quick_start.hyper.optuna_tool.results import STORAGE, STUDY, write_storage
from recbole_sibrar.quick_start.hyper.optuna_tool.search import OptunaSettings, search

LINES = "rate loguniform -9.2,-2.3\nsize quniform 8,64,8\nshare uniform 0.1,0.5\nkind choice ['a','b']\n"

Validate = Callable[[Trial, int], float]


class Runner:
    """A runner whose trials have a given score after each of four validations."""

    def __init__(
        self, folder: Path, space: Space, algo: str, n_trials: int, validate: Validate
    ) -> None:
        self.plan = SimpleNamespace(space=space, algo=algo, seed=5, bigger=True, n_trials=n_trials)
        self.record = Record(folder / "search", {}, True, lambda trial: {})
        self.record.folder.mkdir(exist_ok=True)
        self.validate = validate

    def run(self, trial: Trial, is_behind: Callable[[Trial], bool]) -> None:
        for epoch in range(4):
            trial.score = self.validate(trial, epoch)
            if is_behind(trial):
                self.record.end(trial, Status.STOPPED)
                return
        self.record.end(trial, Status.OK)


def run(
    folder: Path, lines: str, algo: str, n_trials: int, validate: Validate, **settings: Any
) -> Runner:
    folder.mkdir(exist_ok=True)
    (folder / "a.hyper").write_text(lines)
    runner = Runner(folder, read_space(folder / "a.hyper"), algo, n_trials, validate)
    search(
        runner,
        OptunaSettings(**{"early_stop": 0, "scheduler": "fifo", "grace_period": 1, **settings}),
    )
    return runner


def by_rate(trial: Trial, epoch: int) -> float:
    """A score that is best for a certain rate and grows in each epoch."""
    return 10 - abs(float(trial.parameters["rate"]) - 0.01) * 100 + epoch / 100


@pytest.mark.parametrize("algo", ["random", "bayes"])
def test_values_are_those_of_the_space(tmp_path: Path, algo: str) -> None:
    found = [trial.parameters for trial in run(tmp_path, LINES, algo, 14, by_rate).record.trials]
    assert all(1e-4 < values["rate"] < 0.101 for values in found)
    assert {values["size"] for values in found} <= set(range(8, 65, 8))
    assert all(0.1 <= values["share"] <= 0.5 for values in found)
    assert {values["kind"] for values in found} == {"a", "b"}


@pytest.mark.parametrize("algo", ["random", "bayes"])
def test_a_resumed_search_draws_the_same(tmp_path: Path, algo: str) -> None:
    whole = run(tmp_path / "whole", LINES, algo, 14, by_rate).record.trials
    part = run(tmp_path / "part", LINES, algo, 9, by_rate)
    part.plan.n_trials = 14
    search(part, OptunaSettings(early_stop=0, scheduler="fifo", grace_period=1))
    assert [trial.parameters for trial in part.record.trials] == [
        trial.parameters for trial in whole
    ]


def test_every_combination_comes_once(tmp_path: Path) -> None:
    lines = "rate choice [0.1,0.01,0.001]\nkind choice ['a','b']\n"
    found = [trial.text() for trial in run(tmp_path, lines, "exhaustive", 6, by_rate).record.trials]
    assert len(set(found)) == len(found) == 6


def test_trials_that_are_behind_are_stopped(tmp_path: Path) -> None:
    def worse_each_time(trial: Trial, epoch: int) -> float:
        return 1 - trial.number / 10

    runner = run(tmp_path, LINES, "random", 6, worse_each_time, scheduler="asha")
    statuses = [trial.status for trial in runner.record.trials]
    assert statuses[0] is Status.OK
    assert Status.STOPPED in statuses[2:]
    assert runner.record.best is runner.record.trials[0]


def test_a_search_without_progress_ends(tmp_path: Path) -> None:
    found = run(
        tmp_path, LINES, "random", 9, lambda trial, epoch: -float(trial.number), early_stop=3
    ).record.trials
    assert len(found) == 4  # the first is the best


@pytest.mark.slow
def test_storage_has_all_trials(tmp_path: Path) -> None:
    lines = "rate loguniform -9.2,-2.3\nsize quniform 10,60,8\nlayers choice [[8],[8,8]]\n"

    runner = run(tmp_path, lines, "random", 9, by_rate)
    record, space = runner.record, runner.plan.space
    record.trials[1].status, record.trials[2].status = Status.FAILED, Status.STOPPED

    file = tmp_path / STORAGE
    write_storage(record, space, file)
    stored = optuna.load_study(
        study_name=STUDY, storage=JournalStorage(JournalFileBackend(str(file)))
    )
    expected = [
        {**trial.parameters, "layers": str(trial.parameters["layers"])} for trial in record.trials
    ]
    assert [trial.params for trial in stored.trials] == expected
    assert [trial.state.name for trial in stored.trials] == [
        "COMPLETE",
        "FAIL",
        "PRUNED",
        *["COMPLETE"] * 6,
    ]
    assert stored.best_value == max(record.trials[n].score or 0 for n in (0, *range(3, 9)))


@pytest.mark.slow
@pytest.mark.processes
def test_the_command_continues(
    shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.hyper").write_text("learning_rate loguniform -9.2,-2.3\nembedding_size choice [8,-1]\n")
    keys = [
        f"--data_path={shared_folder}",
        "--load_col={'inter': ['user_id', 'item_id']}",
        "--tensorboard=none",
    ]
    command = [
        "-m",
        "BPR",
        "-d",
        "tiny",
        "--epochs=2",
        "--tool=optuna",
        "--algo=random",
        "--params_file=a.hyper",
    ]
    for more in (["--max_evals=2"], ["--max_evals=4", "--resume"]):
        assert cli.run_hyper([*command, *keys, "--output_file=search.result", *more]) == 0

    trials = json.loads(Path("search", "search.json").read_text())["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert all(
        (trial["status"] == "failed") == (trial["parameters"]["embedding_size"] == -1)
        for trial in trials
    )
    assert sum(bool(trial["test_result"]) for trial in trials) == 1
