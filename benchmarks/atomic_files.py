"""Seconds and memory of reading atomic files, ours and RecBole's: ``python benchmarks/atomic_files.py``.

    python benchmarks/atomic_files.py --rows 109269 --sizes 768 --repetitions 5 --recbole_repetitions 1

Files with dense vectors are generated, and ml-100k's interactions come with RecBole. Each side reads a file several
times in a process of its own, so that its peak memory is its own too. Ours is measured cold and cached. Cold is without
the cache, but with the file in the system's memory, as for RecBole. The cached time includes the sum of all numbers,
because the cache is mapped into memory and read on use. The first reading also loads the reader's libraries, and stands
beside the median.
"""

from __future__ import annotations

import argparse
import inspect
import json
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import time
from logging import getLogger
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import recbole
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource

import recbole_sibrar  # noqa: F401
from recbole_sibrar.data.atomic import AtomicFile

SETTINGS = {"field_separator": "\t", "seq_separator": " ", "load_col": None}
SIDES = ("recbole", "cold", "cached", "recbole's frame, cold", "recbole's frame, cached")


def main() -> None:
    """Time all sides and print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[384, 768])
    parser.add_argument("--repetitions", type=int, default=5, help="of ours")
    parser.add_argument("--recbole_repetitions", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="for the generated files; a temporary one if not given"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.child:
        print(json.dumps(measure(*args.child, args.repetitions)))
        return

    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for size in args.sizes:
            file = folder / f"vectors-{size}.item"
            write_vectors(file, args.rows, size)
            compare(file, args.rows * size, SIDES, args)

        source = Path(recbole.__path__[0]) / "dataset_example" / "ml-100k" / "ml-100k.inter"
        compare(Path(shutil.copy(source, folder)), 0, (SIDES[0], SIDES[3]), args)


def write_vectors(file: Path, n_rows: int, size: int) -> None:
    """Write random float32 vectors as Python prints them."""
    rng = np.random.default_rng(0)
    with file.open("w", encoding="utf-8") as stream:
        stream.write("item_id:token\ttitle:token\ttext:float_seq\n")
        for row in range(n_rows):
            vector = rng.normal(size=size).astype(np.float32) / np.float32(np.sqrt(size))
            stream.write(f"{row}\tTitle of {row}\t{' '.join(map(str, vector))}\n")


def compare(file: Path, n_numbers: int, sides: tuple[str, ...], args: argparse.Namespace) -> None:
    """Measure a file on all sides and print the medians."""
    what = (
        f"{n_numbers:,} numbers in vectors, {4 * n_numbers / 1e6:.0f} MB in float32, "
        if n_numbers
        else ""
    )
    print(f"{file.name}: {what}{file.stat().st_size / 1e6:.0f} MB")
    base = 0.0

    for side in sides:
        repetitions = args.recbole_repetitions if side == "recbole" else args.repetitions
        command = [
            sys.executable,
            __file__,
            "--repetitions",
            str(repetitions),
            "--child",
            side,
            str(file),
        ]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seconds, memory = json.loads(output.splitlines()[-1])
        median = statistics.median(seconds)
        base = base or median
        rate = f"{n_numbers / median / 1e6:8.1f} million numbers/s" if n_numbers else ""
        share = f", {memory * 1e6 / 4 / n_numbers:.2f} times the float32 array" if n_numbers else ""

        print(
            f"  {side:<24} {median:8.3f} s (median of {repetitions}, first {seconds[0]:.3f}) "
            f"{base / median:8.1f}x {rate}   peak +{memory:.0f} MB{share}",
            flush=True,
        )


def measure(side: str, path: str, repetitions: int) -> tuple[list[float], float]:
    """Read a file several times: seconds of each, and MB of the first reading's growth of the peak memory."""
    source = FeatureSource.INTERACTION if path.endswith(".inter") else FeatureSource.ITEM
    if "cached" in side:
        process = multiprocessing.get_context("spawn").Process(
            target=read, args=(side, path, source)
        )
        process.start()  # writes the cache
        process.join()

    before, seconds, memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], 0.0
    for _ in range(repetitions):
        start = time.perf_counter()
        read(side, path, source)
        seconds.append(time.perf_counter() - start)
        memory = (
            memory or (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
        )

    return seconds, memory


def read(side: str, path: str, source: FeatureSource) -> None:
    """Read a file once."""
    if side == "recbole":
        RecBoleReader()._load_feat(path, source)
        return
    as_recbole, use_cache = side.startswith("recbole"), "cached" in side
    dtype = np.float64 if as_recbole else np.float32
    frame = AtomicFile(path).read(dtype=dtype, strict=as_recbole, use_cache=use_cache)
    if use_cache:
        frame["text"][0].base.sum()  # all numbers, of which the rows are views


class RecBoleReader(Dataset):
    """RecBole's own reader, without the plugin's extensions."""

    def __init__(self) -> None:
        self.config: Any = {"unload_col": None, "encoding": None, "seq_len": None, **SETTINGS}
        self.logger = getLogger()
        self.field2source, self.field2type, self.field2seqlen, self.field2bucketnum = {}, {}, {}, {}

    _load_feat = inspect.unwrap(Dataset._load_feat)


if __name__ == "__main__":
    main()
