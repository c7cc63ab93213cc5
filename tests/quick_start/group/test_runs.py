"""Comparisons with trainings: results, files, and going on after an end by force."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from recbole_sibrar import cli

TEXT = "text=SiBraR:item_modalities=[interactions,text]"
BROKEN = "bad=SiBraR:item_modalities=[nope]"  # which only a run finds out, for it knows the fields


def start(folder: Path, data: Path, models: str, *more: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, with a relative path of the data."""
    keys = [
        f"--data_path={os.path.relpath(data, folder)}",
        "--load_col=None",
        "--epochs=3",
        "--topk=[5,10]",
    ]
    command = [
        str(Path(sys.executable).with_name("run_recbole_group")),
        f"--model_list={models}",
        "-d",
        "tiny",
    ]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *keys, *more],
        cwd=folder,
        env=environment,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )


def results(folder: Path) -> pd.DataFrame:
    return (
        pd.read_csv(folder / "comparison" / "results.csv")
        .drop(columns=["minutes", "model"])
        .set_index(["name", "seed"])
    )


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 400
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def running(folder: Path) -> list[int]:
    """Ids of the processes of runs below a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any("single_run" in word for word in words) and any(
            str(folder) in word for word in words
        ):
            found.append(int(file.parent.name))
    return found


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path
) -> tuple[Path, int, str, str]:
    """A comparison of two models and one that fails, two at a time."""
    folder = tmp_path_factory.mktemp("compared")
    process = start(
        folder, shared_folder, f"{BROKEN},BPR,{TEXT}", "--jobs=2", "--state=ERROR", "--foo=1"
    )
    output, errors = process.communicate()
    return folder, process.returncode, output, errors


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Path:
    """A comparison that was killed in the second of two runs, and started again."""
    folder = tmp_path_factory.mktemp("killed")
    runs = folder / "comparison" / "runs"
    process = start(folder, shared_folder, TEXT, "--seeds=2")
    wait_until(lambda: list(runs.glob("text-2021-*/log.txt")) and running(folder))
    process.kill()  # so that it cannot end the run that it has started
    wait_until(lambda: not running(folder))
    process.communicate()
    (first,) = runs.glob("*/result.json")
    finished = first.stat().st_mtime_ns
    assert not (folder / "comparison" / "results.csv").exists()
    process = start(folder, shared_folder, TEXT, "--seeds=2")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert first.stat().st_mtime_ns == finished
    return folder


@pytest.mark.slow
@pytest.mark.processes
def test_others_continue_after_a_failure(compared: tuple[Path, int, str, str]) -> None:
    folder, status, output, errors = compared
    assert status == 1
    assert list(results(folder).index) == [("BPR", 2020), ("text", 2020)]
    (line,) = re.findall(r"run_recbole_group: failed: bad, seed 2020: .*", errors)
    assert re.search(r"ConfigError: item_modalities: found 'nope', .*/log\.txt\)$", line)
    assert "Traceback" not in output + errors
    assert "warning: the key 'foo' has no effect" in errors
    assert "Without a result: bad (seed 2020)." in output
    table = (folder / "comparison" / "summary.md").read_text(encoding="utf-8")
    for cell in re.findall(r"\d\.\d{4}", table):
        assert cell in output
    assert not re.search(r"<u>|\*\*|\|", output)


@pytest.mark.slow
@pytest.mark.processes
def test_all_models_have_equal_parts(compared: tuple[Path, int, str, str], killed: Path) -> None:
    folder, _, output, _ = compared
    hashes: dict[str, list[str]] = {}
    for log in (
        *folder.glob("comparison/runs/[!b]*/log.txt"),
        *killed.glob("comparison/runs/*/log.txt"),
    ):
        _, seed, _ = log.parent.name.rsplit("-", 2)
        hashes.setdefault(seed, []).extend(
            re.findall(r"held-out pairs (\w{12})", log.read_text(encoding="utf-8"))
        )
    assert {seed: len(found) for seed, found in hashes.items()} == {"2020": 3, "2021": 1}
    assert len(set(hashes["2020"])) == 1
    assert hashes["2020"][0] != hashes["2021"][0]
    assert "NOT TESTED" not in output
    users = [
        set(pd.read_parquet(file)["user_id"])
        for file in folder.glob("comparison/per_user/*-2020.parquet")
    ]
    assert len(users) == 2
    assert users[0] == users[1]


@pytest.mark.slow
@pytest.mark.processes
def test_all_files_are_in_the_folder(compared: tuple[Path, int, str, str]) -> None:
    folder = compared[0]
    assert [path.name for path in folder.iterdir()] == ["comparison"]
    names = {
        "results.csv",
        "summary.md",
        "summary.tex",
        "significance.csv",
        "per_user",
        "learning_curves",
        "runs",
    }
    assert {path.name for path in (folder / "comparison").iterdir()} == names
    runs = sorted((folder / "comparison" / "runs").iterdir())
    assert [re.sub("-[0-9a-f]{12}$", "", run.name) for run in runs] == [
        *("BPR-2020", "bad-2020", "text-2020")
    ]
    for run in (run for run in runs if not run.name.startswith("bad")):
        files = {
            "log.txt",
            "run.yaml",
            "config.yaml",
            "environment.json",
            "result.json",
            "per_user.parquet",
        }
        assert {path.name for path in run.iterdir() if path.is_file()} == {
            *files,
            "learning_curve.csv",
        }
        assert [path.name for path in (run / "checkpoint").iterdir()] == ["model.pth"]
        assert len(list(run.glob("log/*/*.log"))) == 1


@pytest.mark.slow
@pytest.mark.processes
def test_versions_and_git_state_are_recorded(compared: tuple[Path, int, str, str]) -> None:
    for file in compared[0].glob("comparison/runs/*/environment.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        assert found["python"] == sys.version.split()[0]
        assert {"recbole", "torch", "numpy", "scipy", "statsmodels", "recbole-sibrar"} <= found[
            "packages"
        ].keys()
        assert set(found["git"]) == {"working directory", "recbole-sibrar"}


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
@pytest.mark.parametrize(("name", "seed"), [("BPR", 2020), ("text", 2021)])
def test_recorded_keys_repeat_a_run(
    compared: tuple[Path, int, str, str],
    killed: Path,
    name: str,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = compared[0] if name == "BPR" else killed
    (run,) = folder.glob(f"comparison/runs/{name}-{seed}-*")
    keys = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert (keys["seed"], keys["epochs"], keys["topk"], keys["dataset"]) == (
        seed,
        3,
        [5, 10],
        "tiny",
    )
    assert len(keys) > 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    files = [
        "--save_per_user=users.parquet",
        "--save_learning_curve=curve.csv",
        "--show_progress=False",
    ]
    assert cli.run_recbole([f"--config_files={run / 'config.yaml'}", *files]) == 0
    for own, collected in (
        ("users.parquet", "per_user/{}.parquet"),
        ("curve.csv", "learning_curves/{}.csv"),
    ):
        path = folder / "comparison" / collected.format(f"{name}-{seed}")
        assert Path(own).read_bytes() == path.read_bytes()
    table = results(folder).drop(columns="valid_score").loc[(name, seed)]
    users = pd.read_parquet("users.parquet")
    for metric, value in table.items():
        assert users[metric].mean() == pytest.approx(value, abs=5e-5)


@pytest.mark.slow
@pytest.mark.processes
def test_results_depend_on_the_seed(compared: tuple[Path, int, str, str], killed: Path) -> None:
    table = results(killed)
    assert list(table.index) == [("text", 2020), ("text", 2021)]
    pd.testing.assert_series_equal(
        table.loc[("text", 2020)], results(compared[0]).loc[("text", 2020)]
    )
    assert not table.loc[("text", 2020)].equals(table.loc[("text", 2021)])
