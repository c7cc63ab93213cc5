"""The command ``run_recbole_group``: interruption, splits, wrong arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from recbole_sibrar import cli

FINISH = """echo '{"test_result": {"recall@10": 0.1}, "best_valid_score": 0.2, "seconds": 1}' > "$3/result.json" """


def test_interrupted_command_gives_advice(
    fake: Callable[[str], None], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(f'case "$3" in *BPR*) {FINISH};; *) kill -TERM $PPID; exec sleep 60;; esac')
    data = ["-d=tiny", f"--data_path={tiny_folder}", "--load_col=None"]
    assert cli.run_recbole_group(["-m=BPR,Pop", *data]) == cli.INTERRUPTED
    assert (
        "interrupted; 1 of 2 runs are finished, the same command continues with the others"
        in capsys.readouterr().err
    )
    assert not Path("comparison/results.csv").exists()


@pytest.mark.slow
def test_each_split_is_one_comparison(
    fake: Callable[[str], None], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(FINISH)
    Path("by_user.yaml").write_text(
        "eval_args: {split: {CS: [0.6, 0.2, 0.2]}, group_by: user}\n", encoding="utf-8"
    )
    arguments = [
        "-m=BPR,Pop",
        "-d=tiny",
        f"--data_path={tiny_folder}",
        "--load_col=None",
        "--seeds=2",
        "--epochs=1",
    ]
    assert cli.run_recbole_group([*arguments, "--splits=cold_start_item,by_user.yaml"]) == 0
    assert sorted(path.name for path in Path("comparison").iterdir()) == [
        "by_user",
        "cold_start_item",
    ]
    for split, divided in (("cold_start_item", "item"), ("by_user", "user")):
        runs = list(Path("comparison", split, "runs").iterdir())
        assert len(runs) == 4
        assert all(
            yaml.safe_load((run / "config.yaml").read_text())["eval_args"]["group_by"] == divided
            for run in runs
        )
        summary = Path("comparison", split, "summary.md").read_text(encoding="utf-8")
        assert summary.startswith(f"tiny {split}")
        assert summary.splitlines()[0].endswith(" epochs=1")
    assert capsys.readouterr().out.count("written: comparison/") == 2


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the command with wrong arguments, and return the one line that it ends with."""
    monkeypatch.setattr(sys, "argv", ["run_recbole_group"])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        assert cli.run_recbole_group(arguments) == cli.WRONG_INPUT
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("run_recbole_group: error: ")
        return line.removeprefix("run_recbole_group: error: ")

    return run


def test_wrong_arguments_are_one_line(refused: Callable[..., str], tiny_folder: Path) -> None:
    Path("models.yaml").write_text("epochs: 3\n", encoding="utf-8")
    Path("wrong.yaml").write_text("model_list: 5\n", encoding="utf-8")
    Path("file").write_text("", encoding="utf-8")
    data = ("-d=tiny", f"--data_path={tiny_folder}", "--load_col=None")
    assert refused("-m", "BPR,sibrar").endswith("did you mean 'SiBraR'?")
    assert "found 'BPR' 2 times" in refused("-m", "BPR,BPR")
    assert "--model_list: found ''" in refused("--config_files=models.yaml")
    assert "--model_list: found 5" in refused("--config_files=wrong.yaml")
    assert (
        refused("-m", "BPR", "--jobs=0")
        == "--jobs: found 0, allowed is a positive number of processes"
    )
    assert refused("-m", "BPR", "--output=file").startswith("--output: cannot write to file: ")
    assert refused("-m", "BPR", "--output=file/x").startswith("--output: cannot write to file/x: ")
    assert (
        refused("-m", "BPR", *data, "--seeds=0")
        == "--seeds: found '0', allowed is at least one seed"
    )
    assert (
        refused("-m", "BPR", *data, "--seeds=1,1")
        == "--seeds: found '1,1', allowed is each seed once"
    )
    assert "no effect in this form" in refused("-m", "BPR", "--epochs", "5")
    assert "there is no folder" in refused("-m", "BPR", "-d", "nowhere")
    assert "item_modalites: unknown key" in refused(
        "-m", "BPR,SiBraR", *data, "--item_modalites=[text]"
    )
    assert "did you mean 'cold_start_item'?" in refused(
        "-m", "BPR", "--config_files=cold_start_itm"
    )
    assert "did you mean 'cold_start_item'?" in refused("-m", "BPR", "--splits=warm,cold_start_itm")
    assert "--splits: found 'warm,warm', allowed is different names" in refused(
        "-m", "BPR", *data, "--splits=warm,warm"
    )


def test_wrong_arguments_leave_no_files(refused: Callable[..., str], tiny_folder: Path) -> None:
    before = set(Path().iterdir())
    refused("-m", "BPR", "--seeds=x", "-d=tiny", f"--data_path={tiny_folder}", "--load_col=None")
    refused("-m", "Nothing")
    assert set(Path().iterdir()) == before
