"""Seconds of an epoch's negatives, RecBole's and ours: ``python benchmarks/negative_sampling.py``.

    python benchmarks/negative_sampling.py --data DIR --repetitions 5

Both draw for the same batches, in turn, in one process. RecBole's side is its own code, without the plugin's
extensions.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from common import QUIET, Data, machine, open_data, parser_for, peak_megabytes, table
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.sampler import RepeatableSampler, Sampler
from recbole.sampler.sampler import AbstractSampler
from recbole.utils import init_logger, init_seed

import recbole_sibrar  # noqa: F401

HEADER = (
    "distribution",
    "negatives",
    "draws",
    "RecBole s",
    "ours s",
    "ratio",
    "ours, million draws/s",
)


def main() -> None:
    """Time both samplers for each distribution and number of negatives, and print a table."""
    parser = parser_for(__doc__)
    parser.add_argument("--distributions", nargs="+", default=["uniform", "popularity"])
    parser.add_argument("--negatives", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--batch_size", type=int, default=1024, help="positives in a batch")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="of the epoch to draw for; seconds are those of a whole",
    )
    args = parser.parse_args()

    sys.argv = sys.argv[:1]
    torch.set_num_threads(args.threads)
    rows = []

    with open_data(args.data, args.prepared) as data:
        for distribution in args.distributions:
            sampler, users, items = load(data, distribution)
            order = np.random.default_rng(0).permutation(len(users))[
                : max(1, round(args.share * len(users)))
            ]
            batches = [
                (users[rows], items[rows])
                for rows in np.split(order, range(args.batch_size, len(order), args.batch_size))
            ]

            for n in args.negatives:
                recbole, ours = measure(sampler, batches, n, args.repetitions)
                recbole, ours = (seconds * len(users) / len(order) for seconds in (recbole, ours))
                row = [distribution, str(n), f"{n * len(users):,}", f"{recbole:.3f}", f"{ours:.3f}"]
                rows.append([*row, f"{recbole / ours:.2f}", f"{n * len(users) / ours / 1e6:.1f}"])

    print(
        f"{data.name}, {len(users):,} positives in batches of {args.batch_size:,}, {machine(args.threads)}"
    )
    print(f"median of {args.repetitions}, seconds of an epoch's draws")
    print(table(HEADER, rows))
    print(f"peak memory {peak_megabytes():.0f} MB")


def load(data: Data, distribution: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Load the sampler of our models, and users and items of the training interactions."""
    negatives = {"distribution": distribution, "sample_num": 1}
    keys = {**data.keys_for("BPR"), **QUIET, "use_gpu": False, "train_neg_sample_args": negatives}
    config = Config("SiBraR", data.name, config_dict={**keys, "item_modalities": ["interactions"]})
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train = data_preparation(config, create_dataset(config))[0]
    pairs = train._dataset.inter_feat
    return train._sampler, pairs["user_id"].numpy(), pairs["item_id"].numpy()


def measure(
    sampler: Any, batches: list[tuple[np.ndarray, np.ndarray]], n: int, repetitions: int
) -> list[float]:
    """Time the drawing of ``n`` negatives for every row of all batches (medians), RecBole's and ours."""
    draw(sampler, batches[:1], n)  # ours builds a table when it first draws
    seconds: list[list[float]] = [[], []]
    for _ in range(repetitions):
        with without_plugin():
            seconds[0].append(draw(sampler, batches, n))
        seconds[1].append(draw(sampler, batches, n))
    return [statistics.median(times) for times in seconds]


def draw(sampler: Any, batches: list[tuple[np.ndarray, np.ndarray]], n: int) -> float:
    """Time the drawing for all batches once."""
    start = time.perf_counter()
    for users, items in batches:
        sampler.sample_by_user_ids(users, items, n)
    return time.perf_counter() - start


@contextmanager
def without_plugin() -> Iterator[None]:
    """Restore RecBole's own samplers within a ``with`` block."""
    owners = (AbstractSampler, Sampler, RepeatableSampler)
    extended = [
        (owner, name, method)
        for owner in owners
        for name, method in vars(owner).items()
        if hasattr(method, "_recbole_sibrar_original")
    ]
    try:
        for owner, name, method in extended:
            setattr(owner, name, method._recbole_sibrar_original)

        yield
    finally:
        for owner, name, method in extended:
            setattr(owner, name, method)


if __name__ == "__main__":
    main()
