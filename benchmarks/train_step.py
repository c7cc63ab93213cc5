"""Seconds of a training step and its parts beside those of a matrix product: ``python benchmarks/train_step.py``.

    python benchmarks/train_step.py --data DIR --steps 15
    python benchmarks/train_step.py --data DIR --config P --batch_sizes 1024 --amp --profile

The steps are those of RecBole's trainer, on batches of its loader. README.md explains the columns.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed
from torch import nn

import recbole_sibrar  # noqa: F401

PARTS = ("sampling", "loading", "forward", "backward", "optimiser")
COUNTED = ("cells", "GFLOP", "forward + backward", "whole step", "product", "peak MB")
HEADER = ("configuration", "positives", "ms a step", "quartiles", *PARTS, "s an epoch", *COUNTED)
WARM_UP = 3


def main() -> None:
    """Measure every configuration with every batch size and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument(
        "--config", nargs="+", default=["R", "P"], choices=sorted(common.CONFIGURATIONS)
    )
    parser.add_argument("--model", default="SiBraR")
    parser.add_argument(
        "--batch_sizes", nargs="+", type=int, default=[1024, 8192], help="positives in a batch"
    )
    parser.add_argument(
        "--steps", type=int, default=10, help="steps to measure, after some to warm up"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--amp", action="store_true", help="autocast to bfloat16 (RecBole's enable_amp)"
    )
    parser.add_argument(
        "--profile", action="store_true", help="print torch's profile of the steps as well"
    )
    common.add_keys(parser)
    args = parser.parse_args()

    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: found cuda, but torch sees no GPU")

    sys.argv = sys.argv[:1]
    torch.set_num_threads(args.threads)
    given = {**common.QUIET, "enable_amp": args.amp, "use_gpu": args.device == "cuda"}
    rows, loaded = [], None

    with common.open_data(args.data, args.prepared) as data:
        for name, size in itertools.product(args.config, args.batch_sizes):
            keys = {**data.keys_for(args.model), **common.CONFIGURATIONS[name], **given}
            keys |= {"train_batch_size": 10 * size, **common.settings(args.set)}
            config = Config(args.model, data.name, config_dict=keys)
            loaded = loaded or load(config)
            rows.append(describe(name, size, measure(config, loaded, args)))

    print(
        f"{args.model} on {data.name}, {common.machine(args.threads)}{', bfloat16 autocast' * args.amp}"
    )
    print(
        f"median of {args.steps} steps, ms; the product is one of 9000x512 and 512x512 in float32, GFLOP/s"
    )
    print(common.table(HEADER, rows))
    if args.device == "cuda":
        print(f"peak memory of the GPU {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")


def load(config: Config) -> Any:
    """Load the training part for all configurations."""
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    return data_preparation(config, create_dataset(config))[0]


def make_steps(
    data: str,
    batch_size: int,
    threads: int,
    config: str = "R",
    model: str = "SiBraR",
    settings: dict[str, Any] | None = None,
) -> Callable[[Iterable[None]], object]:
    """Make the training steps of our trainer, for ``beside.py``.

    Args:
        data: Folder of atomic files; empty for RecBole's ml-100k.
        batch_size: Positives in a batch.
        threads: Threads of torch.
        config: Name of a configuration.
        model: Name of the model.
        settings: Further keys of the configuration.
    """
    torch.set_num_threads(threads)
    with common.open_data(Path(data) if data else None) as found:
        keys = {
            **found.keys_for(model),
            **common.CONFIGURATIONS[config],
            **common.QUIET,
            "use_gpu": False,
        }
        keys |= {"train_batch_size": 10 * batch_size, **(settings or {})}
        full = Config(model, found.name, config_dict=keys)
        loader = load(full)

    init_seed(full["seed"], full["reproducibility"])
    trainer = get_trainer(full["MODEL_TYPE"], model)(full, get_model(model)(full, loader._dataset))
    source = batches(loader, sys.maxsize)
    return lambda elements: trainer._train_epoch((next(source) for _ in elements), 0)


def measure(config: Config, loaded: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a configuration: seconds of each part of each step, steps per epoch, cells and FLOPs."""
    common.forget_peak()
    init_seed(config["seed"], config["reproducibility"])
    loader = type(loaded)(config, loaded._dataset, loaded._sampler, shuffle=True)
    model = get_model(config["model"])(config, loader._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    cells, flops = count(model, [batch.to(config["device"]) for batch in batches(loader, 3)])
    clock = Clock(config["device"])
    watch(trainer, loader, clock)
    trainer._train_epoch(
        clock.batches(loader, WARM_UP + args.steps), 0, loss_func=clock.forward(model)
    )

    if args.profile:
        clock.compares = False
        with torch.profiler.profile() as profile:
            trainer._train_epoch(
                clock.batches(loader, args.steps), 0, loss_func=clock.forward(model)
            )

        print(profile.key_averages().table(sort_by=f"self_{args.device}_time_total", row_limit=25))

    measured, per_epoch = (
        slice(WARM_UP, WARM_UP + args.steps),
        math.ceil(loader.sample_size / loader.step),
    )
    found = {"steps": clock.steps[measured], "products": clock.products[measured]}
    return {
        **found,
        "per_epoch": per_epoch,
        "cells": cells,
        "flops": flops,
        "peak": common.peak_megabytes(),
    }


def batches(loader: Any, n: int) -> Iterator[Any]:
    """Yield full batches of a loader, with as many passes over the data as needed."""
    left = n
    while left:
        for batch in loader:
            if left and len(batch) == min(loader._batch_size, loader.sample_size * loader.times):
                left -= 1
                yield batch
            if not left:
                break


class Clock:
    """Seconds of the parts of each step. The time between two marks belongs to the part of the second one.

    The product is timed between the steps, because the rate of a shared machine changes by the second.
    """

    def __init__(self, device: torch.device, compares: bool = True) -> None:
        self.device, self.compares = device, compares
        self.steps: list[dict[str, float]] = []
        self.products: list[float] = []
        self.last = 0.0

    def mark(self, part: str) -> None:
        """Count the time since the last mark as that of a part."""
        common.synchronize(self.device)
        now = time.perf_counter()
        if self.steps:
            self.steps[-1][part] += now - self.last
        self.last = now

    def batches(self, loader: Any, n: int) -> Iterator[Any]:
        """Yield batches of a loader, each at the beginning of a step."""
        source = batches(loader, n)
        for _ in range(n):
            self.mark("optimiser")
            if self.compares:
                self.products.append(common.seconds_of_product(self.device))

            self.last = time.perf_counter()
            self.steps.append(defaultdict(float))
            yield next(source)

        self.mark("optimiser")

    def around(self, function: Any, before: str, after: str) -> Any:
        """Put a mark before and after each call of a function."""

        def marked(*args: Any) -> Any:
            self.mark(before)
            result = function(*args)
            self.mark(after)
            return result

        return marked

    def forward(self, model: nn.Module) -> Any:
        """Mark the loss of a model as a part, and the time before it as loading."""
        return self.around(model.calculate_loss, "loading", "forward")


def watch(trainer: Any, loader: Any, clock: Clock) -> None:
    """Put marks around the negatives and the optimiser's step. The time before the latter is the backward pass."""
    loader._sampler.sample_by_user_ids = clock.around(
        type(loader._sampler).sample_by_user_ids.__get__(loader._sampler), "loading", "sampling"
    )
    trainer.optimizer.register_step_pre_hook(lambda *_: clock.mark("backward"))
    trainer.optimizer.register_step_post_hook(lambda *_: clock.mark("optimiser"))


def count(model: Any, sample: list[Any]) -> tuple[float, float]:
    """Count distinct cells of a step, and FLOPs of its linear layers (forward and backward) for each cell once."""
    cells, flops = 0.0, 0.0
    for encoder in (model.user_encoder, model.item_encoder):
        for column, projection in enumerate([] if encoder.is_table else encoder.projections):
            found: list[int] = []
            hook = projection.register_forward_pre_hook(
                lambda _, ids, out=found: out.append(len(ids[0].unique()))
            )
            for batch in sample:
                model.calculate_loss(batch)

            hook.remove()
            n = sum(found) / len(sample)
            branch = encoder.branches[column % len(encoder.branches)]
            sizes = [
                layer.weight.numel() for layer in branch.modules() if isinstance(layer, nn.Linear)
            ]
            inner = [
                layer.weight.numel()
                for layer in projection.modules()
                if isinstance(layer, nn.Linear)
            ]
            on_data = projection[0].linear.weight.numel() if hasattr(projection[0], "linear") else 0
            cells += n
            flops += 2 * n * (3 * sum(sizes + inner) - on_data)  # data have no gradient

    return cells, flops


def describe(name: str, size: int, found: dict[str, Any]) -> list[str]:
    """Format a row of the table."""
    steps, product = found["steps"], common.PRODUCT_FLOPS / statistics.median(found["products"])
    totals = [sum(step.values()) for step in steps]
    parts = {part: statistics.median(step[part] for step in steps) for part in PARTS}
    total, (low, high) = statistics.median(totals), np.quantile(totals, [0.25, 0.75])
    rates = [found["flops"] / seconds for seconds in (parts["forward"] + parts["backward"], total)]
    cells = [name, f"{size:,}", f"{1000 * total:.1f}", f"{1000 * low:.1f} to {1000 * high:.1f}"]
    cells += [f"{1000 * seconds:.1f}" for seconds in parts.values()]
    cells += [
        f"{total * found['per_epoch']:.1f}",
        f"{found['cells']:,.0f}",
        f"{found['flops'] / 1e9:.2f}",
    ]

    cells += [f"{x / 1e9:.0f} GFLOP/s ({100 * x / product:.0f} %)" for x in rates]
    return [*cells, f"{product / 1e9:.0f}", f"{found['peak']:,.0f}"]


if __name__ == "__main__":
    main()
