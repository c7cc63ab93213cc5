from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from recbole_sibrar import cli
from recbole_sibrar.cli import hyper
from recbole_sibrar.quick_start.run import processes

SPACE = "item_modalities choice [[interactions, text], [interactions, kind], [nope]]\n"


def arguments(data: Path, *more: str) -> list[str]:
    """The command on the small data set; results are in ``search.result`` of the working directory."""
    keys = [
        f"--data_path={data}",
        "--epochs=2",
        "--topk=[5,10]",
        "--valid_metric=NDCG@5",
        "--seed=7",
        "--tensorboard=none",
    ]
    # so that the test draws negatives
    keys.append("--eval_args={'split': {'RS': [0.6, 0.2, 0.2]}, 'mode': 'uni9'}")
    return [
        "--model=SiBraR",
        "-d",
        "tiny",
        "--params_file=a.hyper",
        "--output_file=search.result",
        *keys,
        *more,
    ]


def search(folder: Path, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run the command in this process; its exit status, and what it has written."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["test"])
        status = cli.run_hyper(arguments)
    return status, output.getvalue(), errors.getvalue()


def running(folder: Path) -> bool:
    """Whether the process of a trial below a folder runs."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "hyper.objective" in words and str(folder) in words:
            return True
    return False


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 400
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def trials(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "search" / "search.json").read_text(encoding="utf-8"))["trials"]


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path
) -> tuple[Path, str, str]:
    """A search of three values, one of which the data do not have; killed in the second trial, and resumed."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "a.hyper").write_text(SPACE, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("run_hyper")), *arguments(shared_folder)]
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_until((folder / "search" / "trials" / "1" / "log.txt").is_file)
    first = trials(folder)[0]
    # with the trial, which else loads its libraries before it ends itself
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not running(folder))
    status, output, errors = search(
        folder, arguments(shared_folder, "--resume", "--display_file=a.html")
    )
    assert status == 0, errors
    assert {**trials(folder)[0], "test_result": {}} == first
    assert "trial 0:" not in errors
    return folder, output, errors


@pytest.mark.slow
@pytest.mark.processes
def test_search_continues_after_a_failure(searched: tuple[Path, str, str]) -> None:
    folder, output, errors = searched
    table = pd.read_csv(folder / "search" / "trials.csv")
    values = ["['interactions', 'text']", "['interactions', 'kind']", "['nope']"]
    assert table["item_modalities"].tolist() == [
        values[i] for i in random.Random(7).sample(range(3), 3)
    ]
    failed = table["item_modalities"] == "['nope']"
    assert (table["status"] == "failed").tolist() == failed.tolist()
    assert table["reason"][failed].str.startswith("item_modalities: found 'nope'").all()
    assert table["score"][~failed].tolist() == table["valid_ndcg@5"][~failed].tolist()
    assert table["score"].isna().tolist() == failed.tolist()
    assert "3 trials: 2 complete, 0 stopped, 1 failed" in output
    assert "Traceback" not in output + errors


@pytest.mark.slow
@pytest.mark.processes
def test_only_the_best_trial_is_tested(searched: tuple[Path, str, str]) -> None:
    folder, *_ = searched
    table = pd.read_csv(folder / "search" / "trials.csv")
    best = table.loc[table["score"].idxmax(), "trial"]
    kept = [file.parts[-3] for file in folder.glob("search/trials/*/checkpoint/*")]
    assert kept == [str(best)]
    text = (folder / "search.result").read_text(encoding="utf-8")
    assert text.count("Valid result:") == 2
    assert text.count("Test result:") == 1
    for log in folder.glob("search/trials/*/log.txt"):
        assert ("Loading model structure" in log.read_text(encoding="utf-8")) == (
            log.parent.name == str(best)
        )


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
def test_best_configuration_has_equal_scores(
    searched: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output, _ = searched
    (best,) = [trial for trial in trials(folder) if trial["test_result"]]
    assert (
        yaml.safe_load((folder / "search" / "best.yaml").read_text(encoding="utf-8"))["seed"] == 7
    )
    assert "OMP_NUM_THREADS=1 run_recbole --config_files=search/best.yaml" in output
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["test"])
    found: list[Any] = []
    run = processes.run
    monkeypatch.setattr(processes, "run", lambda *arguments: found.append(run(*arguments)))
    assert cli.run_recbole(["--config_files=search/best.yaml"]) == 0
    assert [dict(found[0][part]) for part in ("best_valid_result", "test_result")] == [
        best["result"],
        best["test_result"],
    ]


@pytest.mark.slow
@pytest.mark.processes
def test_finished_search_stays(
    searched: tuple[Path, str, str],
    shared_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, *_ = searched
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["test"])
    before = (folder / "search" / "trials.csv").read_bytes()
    (folder / "b.hyper").write_text("learning_rate choice [0.05]\n", encoding="utf-8")
    for options, status, message in (
        ([], 2, "search holds an ended search; --resume continues it"),
        (["--resume"], 0, "written: search.result"),
        (
            ["--resume", "--params_file=b.hyper"],
            2,
            "search has another space (found [['item_modalities', 'choice'",
        ),
        (["--resume", "--dropout_prob=0.5"], 2, "search has another configuration or data"),
    ):
        assert cli.run_hyper(arguments(shared_folder, *options)) == status
        shown = capsys.readouterr()
        assert message in shown.err + shown.out
        assert "trial 3" not in shown.err
    assert (folder / "search" / "trials.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max_evals=3"], "--max_evals: has no effect with an exhaustive search"),
        (["--cluster=local"], "--cluster: has no effect with --tool=Hyperopt"),
        (["--tool=ray", "--max_evals=3"], "--max_evals: has no effect with --tool=Ray"),
        (
            ["--tool=RAY", "--scheduler=fifo", "--grace_period=2"],
            "--grace_period: has no effect with --scheduler=fifo",
        ),
        (
            ["--tool=Rya"],
            "--tool: found 'rya', allowed is one of hyperopt, optuna, ray; did you mean 'ray'?",
        ),
        (
            ["--algo=exhaustive", "--params_file=SiBraR"],
            "--algo: found 'exhaustive', allowed is random or bayes",
        ),
        (["--params_file=nope"], "--params_file: found 'nope', allowed is a file, or one of ALDI"),
        (["--item_modalities=[text]"], "--item_modalities: a.hyper searches this key"),
        (
            ["--metric=recall@3"],
            "valid_metric: found 'recall@3', allowed is a cut-off of topk",
        ),
        (["--resume"], "--resume: there is no search in search"),
        (["--early_stop=-1"], "--early_stop: found -1, allowed is a number of at least 0"),
        (
            ["--nproc=2"],
            "nproc: is no key of a configuration, leave it out; processes are given by --nproc, ",
        ),
        (["--model=BPR", "--params_file=BPR"], "--params_file: found 'BPR', allowed is a file"),
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
    monkeypatch.setattr(hyper, "_search", lambda args, runner: pytest.fail("a search has begun"))
    (tmp_path / "a.hyper").write_text(SPACE, encoding="utf-8")
    assert cli.run_hyper(arguments(shared_folder, *options)) == 2
    assert message in capsys.readouterr().err
