"""Kill a training at random moments, start it again each time, and compare its results with those of a run left alone.

python benchmarks/kill.py --kills 20
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from recbole_sibrar.compat import load_checkpoint

SETTINGS = {
    "SiBraR": [
        *("--item_modalities=[interactions,class]", "--user_modalities=[id]", "--embedding_size=16"),
        *("--branch_hidden_sizes=[16]", "--modality_size=16", "--dropout_prob=0.3", "--batch_norm=last"),
        "--train_neg_sample_args={'distribution': 'uniform', 'sample_num': 1}",
    ],
    "BPR": [],
}
"""Small models that draw random numbers for everything they can."""


def command(model: str, folder: Path, options: list[str]) -> list[str]:
    """What starts the run, again and again the same."""
    fixed = [f"--checkpoint_dir={folder}", "--show_progress=False", "--tensorboard=none", "--stopping_step=1000"]
    start = [sys.executable, "-c", "import sys; from recbole_sibrar.cli import run_recbole; sys.exit(run_recbole())"]
    return [*start, "--model", model, "--dataset", "ml-100k", *SETTINGS.get(model, []), *fixed, *options]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a run in a folder, which gets RecBole's logs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(arguments, cwd=folder, env=environment, **pipes)


def results(output: str) -> list[str]:
    """The lines with the final results of validation and test."""
    return re.findall(r"(?:best valid|test result)\s*: .*", plain(output))


def plain(output: str) -> str:
    """Text without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


def watch(process: subprocess.Popen[str]) -> tuple[str, float, float]:
    """What a run says, and the seconds to the end of its first epoch and to its own."""
    began, lines, first = time.monotonic(), [], 0.0
    for line in process.stdout or ():
        lines.append(line)
        if "epoch 0 training" in plain(line):
            first = time.monotonic() - began
    process.wait()
    return "".join(lines), first, time.monotonic() - began


def parameters(folder: Path) -> dict[str, torch.Tensor]:
    """The parameters of the only checkpoint in a folder.

    Raises:
        ValueError: Something else was left there.
    """
    (file,) = folder.iterdir()
    return load_checkpoint(str(file), "cpu")["state_dict"]


def compare(alone: tuple[list[str], dict[str, Any]], killed: tuple[list[str], dict[str, Any]]) -> list[str]:
    """What differs between two runs: lines, or names of parameters."""
    lines = [f"{mine} / {theirs}" for mine, theirs in zip(killed[0], alone[0], strict=True) if mine != theirs]
    return lines + [name for name, value in alone[1].items() if not torch.equal(value, killed[1][name])]


def run(model: str, kills: int, options: list[str], seed: int, note: Any) -> list[str]:
    """Run a training once alone and once with kills.

    Args:
        model: The model.
        kills: How often to kill.
        options: More options of ``run_recbole``.
        seed: Of the moments.
        note: Takes a line about each kill.

    Returns:
        What differs; nothing if all is equal.
    """
    with TemporaryDirectory() as name:
        folder, moments = Path(name), random.Random(seed)
        output, before, seconds = watch(start(command(model, folder / "alone", options), folder))
        expected = results(output), parameters(folder / "alone")
        again = command(model, folder / "killed", [*options, "--resume=auto"])
        note(f"{model} alone: {before:.1f} s to the end of epoch 0, {seconds:.1f} s in all; {'; '.join(expected[0])}")
        share, done = (seconds - before) / (kills + 1), 0
        while True:
            process = start(again, folder)
            wait = moments.uniform(0.6 * before, before + 2 * share)
            if done < kills:
                try:
                    process.wait(wait)
                except subprocess.TimeoutExpired:
                    process.kill()
            output, _ = process.communicate()
            if process.returncode == 0:
                if done >= kills:
                    break
                note("ended before it was killed; starts anew")
                continue
            done += 1
            last = re.findall(r"epoch \d+ (?:training|evaluating)|Checkpoint loaded.*|starts anew", plain(output))[-1:]
            left = sorted(re.sub(r".*\d(?=\D)", "*", file.name) for file in (folder / "killed").glob("*"))
            note(f"kill {done} after {wait:.1f} s: {''.join(last) or 'still loading'}; files: {' '.join(left)}")
        newest = max((folder / "killed").glob("*.pth"), key=lambda file: file.stat().st_mtime_ns)
        found = results(output), load_checkpoint(str(newest), "cpu")["state_dict"]
        return compare(expected, found)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="SiBraR")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args, options = parser.parse_known_args()
    different = run(args.model, args.kills, options, args.seed, lambda line: print(line, flush=True))
    print(f"{args.kills} kills: " + (f"different: {different}" if different else "the same results and parameters"))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
