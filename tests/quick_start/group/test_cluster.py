from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from recbole_sibrar import cli
from recbole_sibrar.quick_start.cluster import jobs
from recbole_sibrar.quick_start.group import cluster as group_cluster
from recbole_sibrar.quick_start.run import processes

MODELS = "bad=SiBraR:item_modalities=[nope],SiBraR"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path, run_command: Callable[..., Any]
) -> tuple[Path, str]:
    """A comparison on a cluster of this machine, with a model that fails, and what was written on standard error."""
    folder = tmp_path_factory.mktemp("compared")
    keys = [f"--data_path={shared_folder}", "--load_col=None", "--epochs=2", "--tensorboard=none"]
    options = [
        f"--model_list={MODELS}",
        "--dataset=tiny",
        "--jobs=2",
        "--output=cluster",
        "--cluster=local",
    ]
    done = run_command("run_recbole_group", [*options, *keys], folder)
    assert done.returncode == 1, done.stderr
    return folder, done.stderr


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
def test_cluster_results_equal_a_local_run(
    folder: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (configuration,) = folder[0].glob("cluster/runs/SiBraR-*/config.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    found: list[Any] = []
    run = processes.run
    monkeypatch.setattr(processes, "run", lambda *arguments: found.append(run(*arguments)))
    assert (
        cli.run_recbole([f"--config_files={configuration}", "--save_per_user=users.parquet"]) == 0
    )
    (row,) = pd.read_csv(folder[0] / "cluster" / "results.csv").to_dict("records")
    assert row["name"] == "SiBraR"
    assert row["valid_score"] == found[0]["best_valid_score"]
    assert {metric: row[metric] for metric in found[0]["test_result"]} == dict(
        found[0]["test_result"]
    )
    (users,) = folder[0].glob("cluster/per_user/*.parquet")
    assert users.read_bytes() == Path("users.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.processes
def test_failed_run_reports_its_reason(folder: tuple[Path, str]) -> None:
    (line,) = [line for line in folder[1].splitlines() if "failed: " in line]
    assert "failed: bad, seed 2020: ConfigError: item_modalities: found 'nope'" in line
    assert "Traceback" not in folder[1]


@pytest.mark.slow
@pytest.mark.processes
def test_unshared_machine_returns_files(folder: tuple[Path, str], tmp_path: Path) -> None:
    (done,) = folder[0].glob("cluster/runs/SiBraR-*")
    specification = yaml.safe_load((done / "run.yaml").read_text(encoding="utf-8"))
    job = jobs.make_job(specification, done, tmp_path / "no_token", "1", {"CPU": 1.0})
    before = {file: file.stat().st_mtime_ns for file in done.rglob("*")}
    status, files = group_cluster.run_job(job)
    assert status == 0
    assert {file: file.stat().st_mtime_ns for file in done.rglob("*")} == before
    assert {
        "result.json",
        "log.txt",
        "per_user.parquet",
        "learning_curve.csv",
        "checkpoint/model.pth",
    } <= set(files)
    assert files["per_user.parquet"] == (done / "per_user.parquet").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resources_per_run=cpu=1"], "--resources_per_run: has no effect without --cluster"),
        (
            ["--cluster=local", "--resources_per_run=cpu"],
            "--resources_per_run: found 'cpu', allowed is names and amounts",
        ),
        (["--cluster=127.0.0.1:1"], "--cluster: cannot use 127.0.0.1:1"),
    ],
)
def test_wrong_options_end_in_one_line(
    options: list[str],
    message: str,
    shared_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    keys = ["-m", "SiBraR", "-d", "tiny", f"--data_path={shared_folder}"]
    assert cli.run_recbole_group([*keys, *options]) == 2
    assert message in capsys.readouterr().err
