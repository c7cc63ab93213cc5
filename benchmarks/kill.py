"""Kill a training at random moments, start it again each time, and compare it with an uninterrupted run.

python benchmarks/kill.py --kills 20
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from recbole_sibrar.checkpoint_loading import load_checkpoint

SETTINGS = {
    "SiBraR": [
        *(
            "--item_modalities=[interactions,class]",
            "--user_modalities=[id]",
            "--embedding_size=16",
        ),
        *(
            "--branch_hidden_sizes=[16]",
            "--modality_size=16",
            "--dropout_prob=0.3",
            "--batch_norm=last",
        ),
        "--train_neg_sample_args={'distribution': 'uniform', 'sample_num': 1}",
    ],
    "BPR": [],
}
"""Small models with as many random draws as possible."""

WHILE_LOADING = 0.25
"""Share of the kills while a process loads or trains its first epoch, without a saved state."""


def command(model: str, folder: Path, options: list[str]) -> list[str]:
    """Make the command of the run, the same for every start."""
    fixed = [
        f"--checkpoint_dir={folder}",
        "--show_progress=False",
        "--tensorboard=none",
        "--stopping_step=1000",
    ]
    start = [
        sys.executable,
        "-c",
        "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())",
    ]
    return [
        *start,
        "--model",
        model,
        "--dataset",
        "ml-100k",
        *SETTINGS.get(model, []),
        *fixed,
        *options,
    ]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a run in a folder, for RecBole's logs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(arguments, cwd=folder, env=environment, **pipes)


def results(output: str) -> list[str]:
    """Find the lines with the final results of validation and test."""
    return re.findall(r"(?:best valid|test result)\s*: .*", plain(output))


def plain(output: str) -> str:
    """Remove colours from a text."""
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


class Watched:
    """A run and its output so far.

    Args:
        process: The run.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, [""]
        self.began = time.monotonic()
        self.trains = threading.Event()
        """Set when the process has trained an epoch, or the rest of one."""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            if re.search(r"epoch \d+ training", plain(line)):
                self.trains.set()
        self.trains.set()

    def end(self, after: float | None = None) -> str:
        """Wait for the end, or kill the run after some seconds, and return its output."""
        try:
            self.process.wait(after)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        return "".join(self.lines)


def parameters(folder: Path) -> dict[str, torch.Tensor]:
    """Read the parameters of the only checkpoint in a folder.

    Raises:
        ValueError: Something else was left there.
    """
    (file,) = folder.iterdir()
    return load_checkpoint(str(file), "cpu")["state_dict"]


def compare(
    alone: tuple[list[str], dict[str, Any]], killed: tuple[list[str], dict[str, Any]]
) -> list[str]:
    """List the differences of two runs: lines, or names of parameters."""
    lines = [
        f"{mine} / {theirs}"
        for mine, theirs in zip(killed[0], alone[0], strict=True)
        if mine != theirs
    ]
    return lines + [
        name for name, value in alone[1].items() if not torch.equal(value, killed[1][name])
    ]


def run(model: str, kills: int, options: list[str], seed: int, note: Any) -> list[str]:
    """Run a training once alone and once with kills.

    Args:
        model: The model.
        kills: Number of kills.
        options: More options of ``run_recbole``.
        seed: Seed of the moments.
        note: Takes a line about each kill.

    Returns:
        The differences; nothing if all is equal.
    """
    with TemporaryDirectory() as name:
        folder, moments = Path(name), random.Random(seed)
        alone = Watched(start(command(model, folder / "alone", options), folder))
        alone.trains.wait()
        loading = time.monotonic() - alone.began
        expected = results(alone.end()), parameters(folder / "alone")
        training = time.monotonic() - alone.began - loading
        note(
            f"{model} alone: {loading:.1f} s to load, {training:.1f} s to train; {'; '.join(expected[0])}"
        )

        return _with_kills(
            command(model, folder / "killed", [*options, "--resume=auto"]),
            folder,
            Kills(kills, loading, training, moments),
            expected,
            note,
        )


@dataclass
class Kills:
    """Moments of the kills.

    Most of them lie within the training, spaced so that the run lasts until the last kill.
    """

    left: int
    """Number of kills left."""
    loading: float
    """Seconds to the end of the first epoch."""
    training: float
    """Seconds of the rest of an uninterrupted training."""
    moments: random.Random
    """Random stream of the moments."""

    def __post_init__(self) -> None:
        self.share = 1.2 * self.training / (self.left + 1)

    def end(self, run: Watched) -> str:
        """Kill a run at the next moment, or let it end if no kill is left, and return its output."""
        if not self.left:
            return run.end()
        if self.moments.random() < WHILE_LOADING:
            return run.end(self.moments.uniform(0, self.loading))
        run.trains.wait()
        return run.end(self.moments.uniform(0, self.share))


def _with_kills(
    again: list[str],
    folder: Path,
    kills: Kills,
    expected: tuple[list[str], dict[str, Any]],
    note: Any,
) -> list[str]:
    """Start a run again and again, and list the differences at its end."""
    done, different = 0, []
    while True:
        killed = Watched(start(again, folder))
        output = kills.end(killed)
        if killed.process.returncode == 0:
            different += compare(expected, (results(output), parameters(folder / "killed")))
            if not kills.left:
                return different

            note("ended before the next kill, and was compared; starts anew")
            for file in (folder / "killed").iterdir():
                file.unlink()

            continue

        done, kills.left = done + 1, kills.left - 1
        seconds = time.monotonic() - killed.began
        last = re.findall(
            r"epoch \d+ (?:training|evaluating)|Checkpoint loaded.*|starts anew", plain(output)
        )[-1:]
        left = sorted(
            re.sub(r".*\d(?=\D)", "*", file.name) for file in (folder / "killed").glob("*")
        )
        note(
            f"kill {done} after {seconds:.1f} s: {''.join(last) or 'still loading'}; files: {' '.join(left)}"
        )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="SiBraR")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args, options = parser.parse_known_args()
    different = run(
        args.model, args.kills, options, args.seed, lambda line: print(line, flush=True)
    )
    print(
        f"{args.kills} kills: "
        + (f"different: {different}" if different else "the same results and parameters")
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
