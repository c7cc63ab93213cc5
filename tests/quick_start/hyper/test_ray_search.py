from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
import yaml
from hyperopt import fmin, hp, rand

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.cluster import jobs
from recbole_sibrar.quick_start.cluster.resources import read_resources
from recbole_sibrar.quick_start.hyper import trial_process
from recbole_sibrar.quick_start.hyper.ray_search import make_scheduler
from recbole_sibrar.quick_start.hyper.ray_trial import train_trial
from recbole_sibrar.quick_start.hyper.suggestions import SeedState

SPACE = (
    "learning_rate loguniform -9.2,-2.3\nembedding_size choice [8,-1,16]\n"  # a size below 0 fails
)


def arguments(data: Path, *more: str) -> list[str]:
    """A search over BPR with Ray, two trials at a time."""
    keys = [
        f"--data_path={data}",
        "--load_col={'inter': ['user_id', 'item_id']}",
        "--epochs=4",
        "--topk=[5]",
    ]
    keys += ["--valid_metric=NDCG@5", "--seed=7", "--tensorboard=none"]
    options = [
        "--tool=Ray",
        "--algo=random",
        "--num_samples=3",
        "--grace_period=1",
        "--resources_per_trial=cpu=1",
    ]
    return ["-m", "BPR", "-d", "tiny", "--params_file=a.hyper", *keys, *options, *more]


def kill_after_the_first_trial(folder: Path, data: Path) -> None:
    """Start the search, and kill it when one of its trials has ended; what it has started ends by itself."""
    command = [str(Path(sys.executable).with_name("run_hyper")), *arguments(data)]
    environment = {**os.environ, "RAY_TMPDIR": "/tmp/ray"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    started: list[psutil.Process] = []
    try:
        end = time.monotonic() + 600
        while not (folder / "hyper" / "trials.csv").is_file():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        training = [child for child in started if is_training(child)]
        assert not psutil.wait_procs(training, timeout=180)[1]
    finally:
        process.kill()
        for left in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def is_training(process: psutil.Process) -> bool:
    """Whether it is that of a trial."""
    try:
        return "recbole_sibrar.quick_start.hyper.objective" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path, run_command: Callable[..., Any]
) -> tuple[Path, str, str]:
    """A search that was killed when its first trial had ended, and resumed."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "a.hyper").write_text(SPACE, encoding="utf-8")
    kill_after_the_first_trial(folder, shared_folder)
    done = run_command("run_hyper", arguments(shared_folder, "--resume"), folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.processes
def test_killed_search_repeats_no_trial(searched: tuple[Path, str, str]) -> None:
    folder, _, errors = searched
    table = pd.read_csv(folder / "hyper" / "trials.csv")
    assert table["trial"].tolist() == [0, 1, 2]
    assert not set(table["status"]) - {"ok", "stopped", "failed"}
    assert errors.count("run_hyper: trial ") < 3
    assert not list((folder / "hyper").glob(".shared-*"))


@pytest.mark.slow
@pytest.mark.processes
def test_values_are_draws_of_hyperopt(searched: tuple[Path, str, str]) -> None:
    folder, *_ = searched
    table = pd.read_csv(folder / "hyper" / "trials.csv")
    drawn: list[dict[str, Any]] = []
    space = {
        "learning_rate": hp.loguniform("learning_rate", -9.2, -2.3),
        "embedding_size": hp.choice("embedding_size", [8, -1, 16]),
    }
    random = SeedState(7)
    fmin(
        lambda values: drawn.append(values) or 0.0,
        space,
        rand.suggest,
        3,
        rstate=random,
        verbose=False,
    )
    assert table["embedding_size"].tolist() == [values["embedding_size"] for values in drawn]
    assert table["learning_rate"].tolist() == pytest.approx(
        [values["learning_rate"] for values in drawn], rel=1e-5
    )
    assert ((table["status"] == "failed") == (table["embedding_size"] == -1)).all()


@pytest.mark.slow
@pytest.mark.processes
def test_only_the_best_trial_is_tested(searched: tuple[Path, str, str]) -> None:
    folder, output, _ = searched
    trials = json.loads((folder / "hyper" / "search.json").read_text(encoding="utf-8"))["trials"]
    scored = [trial for trial in trials if trial["status"] != "failed"]
    best = max(scored, key=lambda trial: trial["score"])
    assert [trial["number"] for trial in trials if trial["test_result"]] == [best["number"]]
    assert best["status"] == "ok"
    assert f"best: trial {best['number']}" in output
    kept = {file.parts[-3] for file in (folder / "hyper").glob("trials/*/checkpoint/*")}
    assert kept == {str(best["number"])}


def test_asha_stops_after_the_grace_period() -> None:
    class Trial:
        trial_id = "a"

    scheduler = make_scheduler("asha", 3, bigger=False)
    for name, score in (("a", 1.0), ("b", 2.0)):
        trial = Trial()
        trial.trial_id = name
        scheduler.on_trial_add(None, trial)
        decisions = [
            scheduler.on_trial_result(None, trial, {"training_iteration": epoch, "score": score})
            for epoch in (1, 2, 3)
        ]
        assert decisions == ["CONTINUE"] * 2 + ["CONTINUE" if name == "a" else "STOP"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu=1,gpu=0.5", {"CPU": 1.0, "GPU": 0.5}),
        ('{"cpu": 2}', {"CPU": 2.0}),
        ("GPU=1, accelerator=2", {"CPU": 0.0, "GPU": 1.0, "accelerator": 2.0}),
    ],
)
def test_resources_are_pairs_or_json(text: str, expected: dict[str, float]) -> None:
    assert read_resources("--resources_per_trial", text) == expected


@pytest.mark.parametrize(
    "text", ["cpu", "cpu=many", "cpu=-1", "{cpu: 1}", "cpu=1,CPU=2", "[1]", f"cpu={math.inf}"]
)
def test_wrong_resources_are_named(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--resources_per_trial: found .*, allowed is names and amounts"
    ):
        read_resources("--resources_per_trial", text)


def test_specification_of_unshared_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.yaml").write_text("epochs: 2\n", encoding="utf-8")
    specification = {
        "dataset": "ml-100k",
        "config_files": [str(tmp_path / "keys.yaml")],
        "keys": {"data_path": "dataset", "gpu_id": "0"},
    }
    job = jobs.make_job(specification, tmp_path / "trial", tmp_path / "no_token", "1", {"CPU": 1.0})
    sent: dict[str, bytes] = {}
    mailbox = SimpleNamespace(put=SimpleNamespace(remote=lambda folder, files: sent.update(files)))
    monkeypatch.setattr(trial_process, "run", lambda *arguments: {"best_score": 0.5, "done": True})
    monkeypatch.setattr("ray.get", lambda sent: sent)
    monkeypatch.setattr("ray.tune.report", lambda **found: None)
    train_trial({"job": json.dumps(asdict(job))}, mailbox)
    assert yaml.safe_load(sent["run.yaml"]) == specification


def test_a_machine_without_the_data_says_so(tmp_path: Path) -> None:
    specification = {
        "dataset": "tiny",
        "config_files": [],
        "keys": {"data_path": str(tmp_path / "nowhere")},
    }
    job = jobs.make_job(specification, tmp_path, tmp_path / "token", "1", {"CPU": 1.0})
    with (
        pytest.raises(
            ConfigError, match=r"of the cluster has no folder .*nowhere/tiny with the data set"
        ),
        jobs.workplace(job),
    ):
        pass
