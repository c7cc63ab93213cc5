"""Seconds and memory to measure the modality gap of a large catalogue: ``python benchmarks/modality_gap.py``.

    python benchmarks/modality_gap.py --items 10000 100000 --modalities 4 --size 128 --threads 2

Embeddings are drawn at random; each number of items is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import numpy as np
import torch
from common import machine, peak_megabytes, run_child, table

from recbole_sibrar.studies.gap.measures import MAX_ITEMS, measure_gap, sample_size

HEADER = ("items", "modalities", "size", "items drawn", "seconds", "peak MB")


def main() -> None:
    """Measure each number of items, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", nargs="+", type=int, default=[4000, 100_000])
    parser.add_argument("--modalities", type=int, default=4)
    parser.add_argument("--size", type=int, default=128, help="of an embedding")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="of torch (default: all cores)"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.child:
        print(json.dumps(measure(**json.loads(args.child))))
        return

    rows = []
    for n in args.items:
        arguments = {
            "items": n,
            "modalities": args.modalities,
            "size": args.size,
            "threads": args.threads,
        }
        found = run_child(__file__, arguments)
        if "error" in found:
            sys.exit(found["error"])

        row = [f"{n:,}", str(args.modalities), str(args.size), f"{sample_size(n, MAX_ITEMS):,}"]
        rows.append([*row, f"{found['seconds']:.1f}", f"{found['megabytes']:.0f}"])

    print(machine(args.threads))
    print(table(HEADER, rows))


def measure(items: int, modalities: int, size: int, threads: int) -> dict[str, float]:
    """Time the measures with one missing cell of ten, and read the peak memory of the process."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((items, modalities, size), dtype=np.float32)
    embeddings += rng.standard_normal((items, 1, size), dtype=np.float32)
    available = rng.random((items, modalities)) < 0.9
    start = time.perf_counter()
    measure_gap(embeddings, available, [f"m{number}" for number in range(modalities)])
    return {"seconds": time.perf_counter() - start, "megabytes": peak_megabytes()}


if __name__ == "__main__":
    main()
