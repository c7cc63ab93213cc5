from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config

from recbole_sibrar import cli
from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.plugin import repairs
from recbole_sibrar.plugin.extensions import EXTENSIONS

SCRIPT = """
import argparse

from recbole.quick_start import run

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="BPR")
parser.add_argument("--dataset", default="ml-100k")
known, _ = parser.parse_known_args()
if __name__ == "__main__":
    result = run(known.model, known.dataset)
    print("FOUND", known.model, result["test_result"]["recall@10"] > 0, __file__)
"""

ONE_NEGATIVE = "--train_neg_sample_args={'sample_num': 1}"


def start(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment that the tests run in."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the command with wrong arguments, and return the one line that it ends with."""
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        assert cli.run_recbole(arguments) == cli.WRONG_INPUT
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("run_recbole: error: ")
        return line.removeprefix("run_recbole: error: ")

    return run


@pytest.fixture
def trained(
    make_config: Callable[..., Config], tiny_folder: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Run the command on the small data set, and return the checkpoint that it wrote."""
    make_config()

    def run(model: str, *arguments: str) -> dict[str, Any]:
        inter = "{'inter': ['user_id', 'item_id']}"
        load_col = "None" if model == "SiBraR" else inter
        fixed = [
            f"--data_path={tiny_folder}",
            f"--load_col={load_col}",
            "--show_progress=False",
            "--epochs=1",
        ]
        assert cli.run_recbole(["-m", model, "-d", "tiny", *fixed, *arguments]) == 0
        (file,) = tmp_path.rglob(f"{model}-*.pth")
        return load_checkpoint(str(file))

    return run


def test_help_lists_options_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run_recbole(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--model",
        "--dataset",
        "--config_files",
        "--nproc",
        "--ip",
        "--port",
        "--world_size",
    ):
        assert option in text
    assert "--key=value" in text
    assert "models of recbole-sibrar: SiBraR" in text
    for model in ("BPR", "LightGCN", "SASRec", "KGAT"):
        assert model in text


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--epochs", "5"], "'--epochs' has no effect in this form; write --epochs=5"),
        (["--epochs"], "'--epochs' has no effect in this form; write --epochs=value"),
        (["epochs=5"], "'epochs=5' has no effect in this form; write --key=value"),
        (["5"], "'5' has no effect in this form; write --key=value"),
        (["--=5"], "'--=5' has no effect in this form"),
    ],
)
def test_wrong_form_of_an_argument(
    refused: Callable[..., str], arguments: list[str], hint: str
) -> None:
    assert hint in refused("--model=BPR", *arguments)


def test_a_key_with_two_values_is_an_error(refused: Callable[..., str]) -> None:
    line = refused("--model=BPR", "--epochs=5", "--epochs=6")
    assert line == "--epochs: found two values, '5' and '6', allowed is one"


def test_repeated_key_with_one_value() -> None:
    assert cli.parse_overrides(["--epochs=5", "--epochs=5"]) == {"epochs": "5"}


@pytest.mark.parametrize(
    ("model", "meant"),
    [("SiBrar", "SiBraR"), ("sibrar", "SiBraR"), ("LightGNC", "LightGCN"), ("bpr", "BPR")],
)
def test_unknown_model_suggests_the_nearest(
    refused: Callable[..., str], model: str, meant: str
) -> None:
    line = refused(f"--model={model}")
    assert line.startswith(f"--model: found '{model}'")
    assert line.endswith(f"did you mean '{meant}'?")


def test_unknown_model_without_suggestion(refused: Callable[..., str]) -> None:
    assert "did you mean" not in refused("--model=qqqqqqqqqqqq")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read mine.yaml: No such file or directory"),
        ("- epochs\n- 5\n", "mine.yaml has to hold lines 'key: value', found ['epochs', 5]"),
        ("", "mine.yaml has to hold lines 'key: value', found None"),
        ("epochs: [5\n", "mine.yaml is not yaml"),
    ],
)
def test_unusable_configuration_file(
    refused: Callable[..., str], tmp_path: Path, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "mine.yaml").write_text(content, encoding="utf-8")
    assert f"--config_files: {reason}" in refused("--model=BPR", "--config_files=mine.yaml")


def test_more_processes_than_gpus(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    line = refused("--model=BPR", "--nproc=2")
    assert line.startswith(
        "--nproc: found 2, allowed is up to the 1 GPUs of this machine that gpu_id names"
    )


def test_wrong_value_is_one_line(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "dropout_prob: found 2" in refused("--model=SiBraR", "--dropout_prob=2", "--state=ERROR")
    assert "nowhere" in refused("--model=BPR", "--dataset=nowhere", "--state=ERROR")
    assert "no metric named 'Recal'" in refused("--model=SiBraR", "--metrics=Recal")


def test_missing_checkpoint_is_one_line(refused: Callable[..., str], tiny_folder: Path) -> None:
    fixed = [
        "--model=SiBraR",
        "--dataset=tiny",
        f"--data_path={tiny_folder}",
        "--load_col=None",
        "--state=ERROR",
    ]
    assert refused(*fixed, "--resume=gone.pth") == "gone.pth: there is no such checkpoint"


@pytest.mark.slow
def test_a_value_may_hold_an_equals_sign(
    trained: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert trained("BPR", "--checkpoint_dir=run=1")["config"]["checkpoint_dir"] == "run=1"
    assert list((tmp_path / "run=1").glob("BPR-*.pth"))


@pytest.mark.slow
def test_lists_of_modalities_are_names(trained: Callable[..., dict[str, Any]]) -> None:
    arguments = ["--item_modalities=[interactions,kind,text]", "--user_modalities=[id]"]
    config = trained("SiBraR", *arguments, "--contrastive=pairwise", "--user_contrastive=none")[
        "config"
    ]
    assert config["item_modalities"] == ["interactions", "kind", "text"]
    assert config["user_modalities"] == ["id"]


@pytest.mark.slow
def test_precedence_of_files_and_options(
    trained: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    for name, content in {
        "a": "seed: 1\nstate: ERROR\nstopping_step: 1",
        "b": "seed: 2\nstate: WARNING",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    config = trained("BPR", "--config_files=a.yaml b.yaml", "--state=ERROR")["config"]
    assert (config["stopping_step"], config["seed"], config["state"]) == (1, 2, "ERROR")


@pytest.mark.slow
def test_unread_key_of_recbole_is_a_warning(
    trained: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    trained("BPR", "--stoping_step=3", "--state=ERROR")
    (warning,) = [
        line for line in caplog.messages if "stoping_step" in line and "no effect" in line
    ]
    assert warning.endswith("did you mean 'stopping_step'?")


@pytest.mark.slow
def test_a_key_that_is_read_is_no_warning(
    trained: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    trained("BPR", "--embedding_size=8", "--stopping_step=3", "--state=ERROR", "--topk=[5,10]")
    assert "no effect" not in caplog.text


@pytest.fixture(scope="module")
def session(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The installed command with a misspelt key, and the checkpoint that it wrote."""
    folder = tmp_path_factory.mktemp("session")
    options = [
        "--epochs=1",
        "--item_modalities=[interactions,class]",
        "--user_modalities=[id]",
        ONE_NEGATIVE,
    ]
    done = start(
        folder, "run_recbole", "-m", "SiBraR", "-d", "ml-100k", *options, "--stoping_step=3"
    )
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "saved").glob("SiBraR-*.pth")
    return done, load_checkpoint(str(file))


@pytest.mark.slow
@pytest.mark.processes
def test_installed_command(
    session: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    config = session[1]["config"]
    assert (config["model"], config["dataset"], config["epochs"]) == ("SiBraR", "ml-100k", 1)
    assert config["item_modalities"] == ["interactions", "class"]
    assert config["user_modalities"] == ["id"]


@pytest.mark.slow
@pytest.mark.processes
def test_unread_key_is_warned_of_once(
    session: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    output = session[0].stdout + session[0].stderr
    assert output.count("the key 'stoping_step' has no effect") == 1
    assert "did you mean 'stopping_step'?" in output


@pytest.mark.slow
@pytest.mark.processes
def test_unmodified_script_runs_our_model(tmp_path: Path, tiny_folder: Path) -> None:
    script = tmp_path / "scripts" / "train.py"
    script.parent.mkdir()
    script.write_text(SCRIPT, encoding="utf-8")
    options = [
        "--dataset=tiny",
        f"--data_path={tiny_folder}",
        "--load_col=None",
        "--epochs=2",
        "--user_modalities=[id]",
    ]
    done = start(
        tmp_path, "python", "-m", "recbole_sibrar", str(script), "--model=SiBraR", *options
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"FOUND SiBraR True {script}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [([], "no script is given"), (["gone.py"], "found 'gone.py', which is no file")],
)
def test_the_module_without_a_script_says_so(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = start(tmp_path, "python", "-m", "recbole_sibrar", *arguments)
    assert done.returncode == 1
    assert done.stderr.strip() == f"usage: python -m recbole_sibrar SCRIPT [ARGUMENT ...]: {reason}"


@pytest.mark.slow
@pytest.mark.processes
def test_doctor_passes(tmp_path: Path) -> None:
    done = start(tmp_path, "recbole-sibrar", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for package in (
        "python",
        "recbole-sibrar",
        "recbole ",
        "torch",
        "numpy",
        "pandas",
        "ray",
        "setuptools",
    ):
        assert package in done.stdout
    assert torch.__version__.split("+")[0] in done.stdout
    for repair in repairs.REPAIRS:
        state = "active" if repairs.apply_repairs()[repair.name] else "not needed"
        assert re.search(rf"{re.escape(repair.name)}.*: {state}", done.stdout)
    assert (
        f"libraries: {'newer' if int(np.__version__.partition('.')[0]) > 1 else 'older'} set"
        in done.stdout
    )

    lines = done.stdout.splitlines()
    table = lines[lines.index("extensions of RecBole") + 1 :][: len(EXTENSIONS)]
    for line, extension in zip(table, EXTENSIONS, strict=True):
        owner, name = extension.target.split(".")[-2:]
        assert f"{owner}.{name} <- " in line
        assert line.endswith(f".{extension.function.__name__}: {extension.why}")

    assert "plugin: registered, models SiBraR" in done.stdout
    assert "self-test (train, evaluate, save, reload): passed" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "recbole-sibrar: error: the following arguments are required: COMMAND"),
        (
            ["msising"],
            "recbole-sibrar: error: COMMAND: found 'msising', allowed is one of doctor, missing,",
        ),
        (
            ["gap", "--sied=user"],
            "recbole-sibrar gap: error: '--sied' is no option; did you mean '--side'?",
        ),
        (
            ["missing"],
            "recbole-sibrar missing: error: the following arguments are required: CHECKPOINT",
        ),
        (
            ["encode-text", "--batch_size=x"],
            "recbole-sibrar encode-text: error: argument --batch_size: invalid int",
        ),
    ],
)
def test_wrong_options_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert cli.main(arguments) == cli.WRONG_INPUT
    (found,) = capsys.readouterr().err.splitlines()
    assert found.startswith(line)
