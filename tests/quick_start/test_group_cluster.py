from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from recbole_sibrar import cli
from recbole_sibrar.quick_start import group_cluster, ray_cluster

MODELS = "Pop,bad=SiBraR:item_modalities=[nope],SiBraR"


def compare(folder: Path, data: Path, *more: str) -> tuple[int, str]:
    """Run the command; its exit status, and what it has written on standard error."""
    keys = [f"--data_path={data}", "--load_col=None", "--epochs=2", *more]
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("run_recbole_group")), "-m", MODELS, "-d", "tiny", "--jobs=2", *keys],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=200)
        return process.returncode, errors
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Iterator[tuple[Path, str]]:
    """Comparisons of the same models, one on a cluster of this machine and one without."""
    folder = tmp_path_factory.mktemp("compared")
    status, errors = compare(folder, shared_folder, "--output=cluster", "--cluster=local")
    assert status == 1, errors
    status, _ = compare(folder, shared_folder, "--output=processes")
    assert status == 1
    return folder, errors


def test_results_on_a_cluster_are_those_without(folder: tuple[Path, str]) -> None:
    one, other = (
        pd.read_csv(folder[0] / name / "results.csv").drop(columns="minutes") for name in ("cluster", "processes")
    )
    assert one["name"].tolist() == ["Pop", "SiBraR"]
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert len(list(folder[0].glob("cluster/per_user/*.parquet"))) == 2


def test_a_run_that_fails_on_a_cluster_says_why(folder: tuple[Path, str]) -> None:
    (line,) = [line for line in folder[1].splitlines() if "failed: " in line]
    assert "failed: bad, seed 2020: ConfigError: item_modalities: found 'nope'" in line
    assert "Traceback" not in folder[1]


def test_a_machine_that_shares_no_folder_sends_what_it_has_written(folder: tuple[Path, str], tmp_path: Path) -> None:
    (done,) = folder[0].glob("cluster/runs/Pop-*")
    specification = yaml.safe_load((done / "run.yaml").read_text(encoding="utf-8"))
    job = ray_cluster.job(specification, done, tmp_path / "no_token", "1", {"CPU": 1.0})
    before = {file: file.stat().st_mtime_ns for file in done.rglob("*")}
    status, files = group_cluster.run_job(job)
    assert status == 0
    assert {file: file.stat().st_mtime_ns for file in done.rglob("*")} == before
    assert {"result.json", "log.txt", "per_user.parquet", "learning_curve.csv", "checkpoint/model.pth"} <= set(files)
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
