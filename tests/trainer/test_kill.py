"""Runs of the command that are killed or asked to stop, started again with the same command."""

from __future__ import annotations

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

from recbole_sibrar.compat import load_checkpoint

START = "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())"
SIBRAR = ["--model=SiBraR", "--load_col=None", "--dropout_prob=0.3", "--item_modalities=[interactions,text]"]
BPR = ["--model=BPR", "--load_col={'inter': ['user_id', 'item_id']}"]


class Command:
    """``run_recbole`` in processes of their own, with checkpoints in a folder for each name."""

    def __init__(self, data_path: Path, folder: Path, *options: str) -> None:
        self.folder = folder
        fixed = ["--dataset=tiny", f"--data_path={data_path}", "--show_progress=False", "--tensorboard=none"]
        self.options = [*fixed, "--train_batch_size=32", "--stopping_step=1000", "--learning_rate=0.01", *options]

    def start(self, name: str, *options: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", START, *self.options, f"--checkpoint_dir={name}", *options]
        return subprocess.Popen(command, cwd=self.folder, env=environment, **pipes)

    def until(self, process: subprocess.Popen[str], text: str) -> None:
        """Wait until a run has said something."""
        assert process.stdout
        for line in process.stdout:
            if text in plain(line):
                return
        pytest.fail(f"never said {text!r}")

    def outcome(self, name: str, output: str) -> tuple[list[str], dict[str, torch.Tensor]]:
        """The results that a run has reported, and the parameters in the only file that is left of it."""
        (file,) = (self.folder / name).iterdir()
        found = re.findall(r"(?:best valid|test result)\s*: .*", plain(output))
        assert len(found) == 2
        return found, load_checkpoint(str(file))["state_dict"]


def plain(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


def assert_same(found: tuple[list[str], Any], expected: tuple[list[str], Any]) -> None:
    assert found[0] == expected[0]
    for name, value in expected[1].items():
        assert torch.equal(found[1][name], value), name


def test_a_run_killed_at_random_moments_ends_as_one_left_alone(tiny_folder: Path, tmp_path: Path) -> None:
    command, moments = Command(tiny_folder, tmp_path, *SIBRAR, "--epochs=16"), random.Random(4)
    alone = command.start("alone")
    expected = command.outcome("alone", alone.communicate()[0])
    for _ in range(3):
        run = command.start("killed", "--resume=auto")
        command.until(run, "training [time")
        time.sleep(moments.uniform(0, 0.4))
        run.kill()
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    output, _ = command.start("killed", "--resume=auto").communicate()
    assert "resume: goes on with" in output
    assert "epoch 0 training" not in plain(output)
    assert_same(command.outcome("killed", output), expected)


@pytest.mark.parametrize("model", [BPR])
def test_sigterm_and_max_hours_save_and_end_with_a_status_of_their_own(
    tiny_folder: Path, tmp_path: Path, model: list[str]
) -> None:
    command = Command(tiny_folder, tmp_path, *model, "--epochs=40", "--resume=auto")
    expected = command.outcome("alone", command.start("alone").communicate()[0])
    run = command.start("stopped")
    command.until(run, "epoch 1 training [time")
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate()
    assert run.returncode == 143, output
    assert re.search(r"stopped by SIGTERM in epoch \d+; --resume=stopped/.*-last\.pth continues this run", output)
    run = command.start("stopped", "--max_hours=0.000001")
    output, _ = run.communicate()
    assert run.returncode == 75, output
    assert re.search(r"stopped by max_hours in epoch \d+; --resume=stopped/", output)
    assert_same(command.outcome("stopped", command.start("stopped").communicate()[0]), expected)
