"""Shared parts of the benchmarks: data, the two configurations, timing, memory and tables."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

QUIET = {"show_progress": False, "state": "ERROR"}
PAPERS = {
    "user_modalities": ["id"],
    "loss_type": "BPR",
    "contrastive": "pairwise",
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 10},
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "R": {
        **PAPERS,
        "modality_size": 64,
        "branch_hidden_sizes": [64],
        "embedding_size": 64,
        "batch_norm": "last",
    },
    "P": {
        **PAPERS,
        "modality_size": 512,
        "branch_hidden_sizes": [512, 512, 512, 256, 256],
        "embedding_size": 128,
        "batch_norm": 2,
        "normalize_branch_input": True,
    },
}
"""The small configuration and the large one of the papers."""


ORIGINALS = ("interactions.npz", "users.dat", "movies.dat", "text_minilm.npz")
"""Files of a folder with the original MovieLens-1M."""

PRODUCT_FLOPS = 2 * 9000 * 512 * 512
"""FLOPs of the matrix product beside the steps."""


class Data(NamedTuple):
    """Atomic files to run on."""

    name: str
    """Name of the data set."""
    keys: dict[str, Any]
    """Its folder, and the columns to load."""

    def keys_for(self, model: str) -> dict[str, Any]:
        """Return the keys for a model; one without content reads the interactions only."""
        load_col = {"inter": ["user_id", "item_id"]}
        if model in ("SiBraR", "MuBraR", "DropoutNet", "CLCRec"):
            load_col |= {"item": self.keys["load_col"]["item"]}
        return {**self.keys, "load_col": load_col}


def parser_for(description: str) -> argparse.ArgumentParser:
    """Make a parser with the common options: the data and the number of threads."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    about = "original files of MovieLens-1M (see README.md) or a folder of atomic files; without it, RecBole's ml-100k"
    parser.add_argument("--data", type=Path, metavar="DIR", help=about)
    parser.add_argument(
        "--prepared",
        type=Path,
        metavar="DIR",
        help="keeps the atomic files; else they are temporary",
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="of torch (default: all cores)"
    )
    return parser


def add_keys(
    parser: argparse.ArgumentParser,
    about: str = "further keys of the configuration",
    metavar: str = "KEY=VALUE",
) -> None:
    """Add the option ``--set``, whose values :func:`settings` reads."""
    parser.add_argument("--set", nargs="+", default=[], metavar=metavar, help=about)


@contextmanager
def open_data(source: Path | None, prepared: Path | None = None) -> Iterator[Data]:
    """Open the data of ``--data`` as atomic files, and make them if they are not there.

    Args:
        source: Original files of MovieLens-1M, a folder ``NAME`` with ``NAME.inter``, or None for ml-100k.
        prepared: Folder for converted files; a temporary one if None.
    """
    if source is None:
        yield Data(
            "ml-100k", {"load_col": {"inter": ["user_id", "item_id"], "item": ["item_id", "class"]}}
        )
        return

    with TemporaryDirectory() as temporary:
        folder = source.resolve()
        if not (folder / f"{folder.name}.inter").is_file():
            folder = (prepared or Path(temporary)).resolve() / "ml-1m"
            if not folder.is_dir():
                prepare(source, folder.parent)

        columns = pd.read_csv(folder / f"{folder.name}.item", sep="\t", nrows=0).columns
        load_col = {
            "inter": ["user_id", "item_id"],
            "item": [column.split(":")[0] for column in columns],
        }
        yield Data(folder.name, {"data_path": str(folder.parent), "load_col": load_col})


def prepare(source: Path, target: Path) -> None:
    """Convert MovieLens-1M with a text vector for each film; ratings and timestamps are stand-ins.

    Args:
        source: Folder with ``interactions.npz``, ``users.dat``, ``movies.dat`` and ``text_minilm.npz``.
        target: The ``data_path`` in which the folder ``ml-1m`` is made.
    """
    missing = [name for name in ORIGINALS if not (source / name).is_file()]
    if missing:
        sys.exit(
            f"--data: {source} has neither {source.name}.inter nor {missing[0]}; see benchmarks/README.md"
        )

    with TemporaryDirectory() as temporary:
        raw = Path(temporary)
        pairs = np.load(source / "interactions.npz")
        ratings = pd.DataFrame(
            {"user": pairs["user_id"], "item": pairs["movie_id"], "rating": 4, "time": 0}
        )
        lines = ratings.to_csv(header=False, index=False).replace(",", "::")
        (raw / "ratings.dat").write_text(lines, encoding="latin-1")

        for name in ("users.dat", "movies.dat"):
            (raw / name).symlink_to((source / name).resolve())

        vectors = np.load(source / "text_minilm.npz")
        np.savez(
            raw / "text.npz",
            ids=vectors["movie_id"],
            vectors=vectors["embedding"].astype(np.float32),
        )
        command = [
            sys.executable,
            "-m",
            "recbole_sibrar.dataset_prep",
            "ml-1m",
            f"--input_path={raw}",
        ]
        command += [
            f"--output_path={target}",
            "--k_core=10",
            "--min_rating=none",
            "--item_features=genres,text",
        ]
        command += ["--user_features=none", f"--item_feature=text={raw / 'text.npz'}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def settings(pairs: Sequence[str], model: str = "") -> dict[str, str]:
    """Read the ``[MODEL:]KEY=VALUE`` of a model; those with its name override those without."""
    general, own = {}, {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            sys.exit(f"--set: found '{pair}', allowed is KEY=VALUE")

        name, colon, rest = key.partition(":")
        if not colon:
            general[key] = value
        elif name == model:
            own[rest] = value

    return {**general, **own}


def peak_megabytes() -> float:
    """Read the peak resident memory of this process so far, or since :func:`forget_peak`."""
    status = Path("/proc/self/status")
    if status.is_file():  # a process inherits getrusage's figure from the one that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def forget_peak() -> None:
    """Reset the peak memory, if the system allows it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def seconds_of_product(device: torch.device) -> float:
    """Time a product of 9000x512 and 512x512 in float32, median of three."""
    left, right = torch.ones(9000, 512, device=device), torch.ones(512, 512, device=device)
    seconds = []
    for _ in range(3):
        synchronize(device)
        start = time.perf_counter()
        left @ right
        synchronize(device)
        seconds.append(time.perf_counter() - start)

    return statistics.median(seconds)


def synchronize(device: torch.device) -> None:
    """Wait for the pending work of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def machine(threads: int) -> str:
    """Describe the machine in a line."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} cores, {threads} threads, {gpu}, torch {torch.__version__}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def run_child(script: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a script with ``--child`` in a process of its own, and read the JSON object in its last line.

    Returns:
        The object; if the process fails, ``{"error": the reason}``.
    """
    command = [sys.executable, script, "--child", json.dumps(arguments)]
    threads = str(arguments["threads"])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": threads}
    )

    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])

    last = (done.stderr.strip().splitlines() or [""])[-1]
    return {
        "error": "out of memory (killed)"
        if done.returncode == -9
        else last or f"exit status {done.returncode}"
    }
