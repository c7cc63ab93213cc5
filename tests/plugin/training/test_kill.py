"""Killed and stopped runs, started again with the same command."""

from __future__ import annotations

import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_sibrar import cli
from recbole_sibrar.checkpoint_loading import load_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.processes]

START = "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())"
SIBRAR = [
    "--model=SiBraR",
    "--load_col=None",
    "--dropout_prob=0.3",
    "--item_modalities=[interactions,text]",
]
BPR = ["--model=BPR", "--load_col={'inter': ['user_id', 'item_id']}"]


class Command:
    """``run_recbole``, in a process of its own or in this one, with checkpoints in a folder for each name."""

    def __init__(self, data_path: Path, folder: Path, *options: str) -> None:
        self.folder = folder
        fixed = [
            "--dataset=tiny",
            f"--data_path={data_path}",
            "--show_progress=False",
            "--tensorboard=none",
        ]
        training = [
            "--stopping_step=1000",
            "--learning_rate=0.01",
            "--use_gpu=False",
            "--resume=auto",
        ]
        self.options = [*fixed, *training, *options]

    def start(self, name: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", START, *self.options, f"--checkpoint_dir={name}"]
        process = subprocess.Popen(command, cwd=self.folder, env=environment, **pipes)
        assert process.stdout
        # one page: a run whose output nobody reads waits before its end, however late it is killed
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        return process

    def until(self, process: subprocess.Popen[str], text: str) -> None:
        """Wait for a text in the output of a run."""
        assert process.stdout
        for line in process.stdout:
            if text in plain(line):
                return
        pytest.fail(f"never said {text!r}")

    def run(self, name: str, *options: str) -> int:
        """Run the command to its end in this process, without a new start of Python."""
        return cli.run_recbole([*self.options, f"--checkpoint_dir={name}", *options])

    def outcome(self, name: str, output: str) -> tuple[list[str], dict[str, torch.Tensor]]:
        """Reported results of a run, and the parameters in its only file."""
        (file,) = (self.folder / name).iterdir()
        found = re.findall(r"(?:best valid|test result)\s*: .*", plain(output))
        assert len(found) == 2
        return found, load_checkpoint(str(file))["state_dict"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A working folder for runs in this process. Their log is captured."""
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")


def plain(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


def assert_same(found: tuple[list[str], Any], expected: tuple[list[str], Any]) -> None:
    assert found[0] == expected[0]
    for name, value in expected[1].items():
        assert torch.equal(found[1][name], value), name


@pytest.mark.usefixtures("here")
def test_killed_runs_end_as_undisturbed_ones(
    tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command, moments = Command(tiny_folder, tmp_path, *SIBRAR, "--epochs=60"), random.Random(4)
    assert command.run("alone") == 0
    expected = command.outcome("alone", caplog.text)

    for _ in range(2):
        run = command.start("killed")
        command.until(run, "training [time")
        time.sleep(moments.uniform(0, 0.4))
        run.kill()
        run.communicate()
        assert run.returncode == -signal.SIGKILL

    caplog.clear()
    assert command.run("killed") == 0
    assert "resume: goes on with" in caplog.text
    assert "epoch 0 training" not in plain(caplog.text)
    assert_same(command.outcome("killed", caplog.text), expected)


@pytest.mark.usefixtures("here")
def test_sigterm_and_max_hours(
    tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = Command(tiny_folder, tmp_path, *BPR, "--epochs=100")
    assert command.run("alone") == 0
    expected = command.outcome("alone", caplog.text)

    run = command.start("stopped")
    command.until(run, "epoch 1 training [time")
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate()
    assert run.returncode == 143, output
    assert re.search(
        r"stopped by SIGTERM in epoch \d+; --resume=stopped/.*-last\.pth continues this run", output
    )

    with pytest.raises(
        SystemExit, match=r"stopped by max_hours in epoch \d+; --resume=stopped/"
    ) as stopped:
        command.run("stopped", "--max_hours=0.000001")
    assert stopped.value.code == 75

    caplog.clear()
    assert command.run("stopped") == 0
    assert_same(command.outcome("stopped", caplog.text), expected)
