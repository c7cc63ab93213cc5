"""A training step and an evaluation by several processes, beside one: ``python benchmarks/processes.py``.

    python benchmarks/processes.py --data DIR --nproc 1 2 --steps 15

Every process computes with one thread. The batch is that of all processes together. Each configuration is run with
every number of processes in turn, several times over; ratios are those of one such round, and their median is printed.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import common
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed

import recbole_sibrar  # noqa: F401

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "R": ("SiBraR", common.CONFIGURATIONS["R"]),
    "P": ("SiBraR", common.CONFIGURATIONS["P"]),
    "BPR": ("BPR", {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 10}}),
    "LightGCN": (
        "LightGCN",
        {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 10}},
    ),
}
HEADER = (
    "configuration",
    "processes",
    "ms a step",
    "times as fast",
    "s an evaluation",
    "times as fast",
    "MB a step",
)
WARM_UP = 3


def main() -> None:
    """Measure every configuration with every number of processes and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--child", help="(internal)")
    parser.add_argument(
        "--config", nargs="+", default=["R", "P", "BPR"], choices=sorted(CONFIGURATIONS)
    )
    parser.add_argument("--nproc", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--positives", type=int, default=1024, help="in a batch of all processes")
    parser.add_argument(
        "--steps", type=int, default=15, help="steps to measure, after some to warm up"
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    if args.child:
        print(json.dumps(start(json.loads(args.child))))
        return

    rows = []
    with common.open_data(args.data, args.prepared) as data:
        for name in args.config:
            model, keys = CONFIGURATIONS[name]
            keys = {
                **data.keys_for(model),
                **keys,
                **common.QUIET,
                "train_batch_size": 10 * args.positives,
            }
            given = {
                "model": model,
                "dataset": data.name,
                "keys": keys,
                "steps": args.steps,
                "threads": 1,
            }
            rounds = []

            for _ in range(args.rounds):
                rounds.append(
                    [common.run_child(__file__, {**given, "nproc": n}) for n in args.nproc]
                )
                print(
                    json.dumps({"configuration": name, "round": rounds[-1]}),
                    file=sys.stderr,
                    flush=True,
                )

            rows += [describe(name, n, i, rounds) for i, n in enumerate(args.nproc)]

    print(
        f"{args.positives} positives a step, {args.rounds} rounds, {common.machine(1)} a process, on {data.name}"
    )
    print(common.table(HEADER, rows))


def describe(name: str, n: int, position: int, rounds: list[list[dict[str, Any]]]) -> list[str]:
    """Format a row of the table: medians over the rounds, and of the ratios to the first number of processes."""
    cells = [name, str(n)]
    for what, unit in (("step", 1000), ("evaluation", 1)):
        values = [one[position][what] for one in rounds]
        ratios = [one[0][what] / one[position][what] for one in rounds]
        cells += [f"{statistics.median(values) * unit:.3g}", f"{statistics.median(ratios):.2f}"]
    return [*cells, f"{rounds[0][position]['bytes'] / 1e6:.1f}"]


def start(given: dict[str, Any]) -> dict[str, Any]:
    """Run the processes of one measurement, and return the figures of the first."""
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.multiprocessing.spawn(measure, (given, port, queue), nprocs=given["nproc"])
    return queue.get()


def measure(rank: int, given: dict[str, Any], port: int, queue: Any) -> None:
    """Measure in one of the processes."""
    sys.argv = sys.argv[:1]
    keys = dict(given["keys"])
    if given["nproc"] > 1:
        keys |= {
            "local_rank": rank,
            "offset": 0,
            "world_size": given["nproc"],
            "nproc": given["nproc"],
        }
        keys |= {"ip": "localhost", "port": port}

    config = Config(given["model"], given["dataset"], config_dict=keys)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, valid, _ = data_preparation(config, create_dataset(config))
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    trainer._train_epoch(Steps(train, WARM_UP), 0)
    steps = Steps(train, given["steps"])
    trainer._train_epoch(steps, 1)
    evaluations = [seconds_of_evaluation(trainer, valid) for _ in range(4)]

    if rank == 0:
        seconds = [after - before for before, after in itertools.pairwise(steps.times)]
        # a ring sends and receives twice all gradients but one share
        sent = (
            2
            * (1 - 1 / given["nproc"])
            * 4
            * sum(parameter.numel() for parameter in model.parameters())
        )
        queue.put(
            {
                "step": statistics.median(seconds),
                "evaluation": statistics.median(evaluations[1:]),
                "bytes": sent,
            }
        )


def seconds_of_evaluation(trainer: Any, loader: Any) -> float:
    """Time an evaluation of RecBole's trainer."""
    start = time.perf_counter()
    trainer.evaluate(loader, load_best_model=False)
    return time.perf_counter() - start


class Steps:
    """Some batches of a loader, with the time of each request."""

    def __init__(self, loader: Any, n: int) -> None:
        self.loader, self.n = loader, n
        self.times: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Any]:
        source = itertools.chain.from_iterable(itertools.repeat(self.loader))
        for _ in range(self.n):
            self.times.append(time.perf_counter())
            yield next(source)
        self.times.append(time.perf_counter())


if __name__ == "__main__":
    main()
