"""Time and memory as the catalogue grows, on generated data: ``python benchmarks/scaling.py``.

    python benchmarks/scaling.py --items 1000 10000 100000 1000000 --output growth
    python benchmarks/scaling.py --draw growth.csv --output growth

The data have 50 interactions a user and a vector of 512 numbers for each item. Few items have many interactions, and
many have few. SiBraR is trained in the configuration R. Every size runs in a process of its own. A failing size is a
row with the reason. Seconds are also counted of the processor, as those of the wall tell little on a busy machine. The
plot shows these.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import common
import numpy as np
import pandas as pd
import stepper

SIZE, PER_USER, EVALUATED = 512, 50, 2000
USERS_AT_A_TIME = 10**5
NAMES = ("first load", "load", "step", "evaluation")
COLUMNS = (
    "items",
    "users",
    *(f"{name} {unit}" for name in NAMES for unit in ("s", "processor s", "peak MB")),
    "failed",
)


def main() -> None:
    """Measure every size, print a table, and write it with a plot."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--items", nargs="+", type=int, default=[10**3, 10**4, 10**5, 10**6])
    parser.add_argument(
        "--users", type=int, help="(default: a tenth of the items, but 10,000 to 100,000)"
    )
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument(
        "--memory_limit", type=float, metavar="GB", help="of each process, which fails beyond it"
    )
    common.add_keys(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("scaling"), help="for OUTPUT.csv and OUTPUT.png"
    )
    parser.add_argument(
        "--draw", type=Path, metavar="CSV", help="measure nothing, and draw the plot of this table"
    )
    args = parser.parse_args()
    picture = args.output.with_suffix(".png")
    if args.draw:
        plot(pd.read_csv(args.draw), picture)
        return

    rows = []
    if args.prepared:
        args.prepared.mkdir(parents=True, exist_ok=True)

    for n_items in args.items:
        n_users = args.users or int(np.clip(n_items // 10, 10**4, 10**5))
        with TemporaryDirectory(dir=args.prepared) as folder:
            generate(Path(folder) / "generated", n_users, n_items)
            given = {
                "data_path": folder,
                "threads": args.threads,
                "steps": args.steps,
                "set": common.settings(args.set),
            }
            given["memory_limit"] = args.memory_limit
            first = common.run_child(__file__, {**given, "only_load": True})
            found = first if "error" in first else common.run_child(__file__, given)
            found |= {f"first {name}": value for name, value in first.items() if name != "error"}

        rows.append({"items": n_items, "users": n_users, **found})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)

    frame = pd.DataFrame(rows).rename(columns={"error": "failed"}).reindex(columns=COLUMNS)
    frame.to_csv(args.output.with_suffix(".csv"), index=False)
    plot(frame, picture)

    print(
        f"R, {PER_USER} interactions a user, evaluation of up to {EVALUATED:,} users, {common.machine(args.threads)}"
    )
    cells = [
        [
            "" if pd.isna(cell) else f"{cell:,.4g}" if isinstance(cell, float) else str(cell)
            for cell in row
        ]
        for row in frame.astype(object).itertuples(index=False)
    ]

    print(common.table(COLUMNS, cells))


def generate(folder: Path, n_users: int, n_items: int) -> None:
    """Write interactions, divided into training and two held-out parts, and items with vectors.

    Args:
        folder: New folder of the data set.
        n_users: Number of users; one interaction of each of the first :data:`EVALUATED` is in each held-out part.
        n_items: Number of items.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = {part: folder / f"generated.{part}.inter" for part in ("valid", "test", "train")}
    for file in files.values():
        file.write_text("user_id:token\titem_id:token\n")

    for start in range(0, n_users, USERS_AT_A_TIME):
        users = np.repeat(np.arange(start, min(start + USERS_AT_A_TIME, n_users)), PER_USER)
        items = (n_items * rng.random(len(users)) ** 2).astype(np.int64)
        pairs = pd.DataFrame({"user": users, "item": items}).drop_duplicates(ignore_index=True)
        place = pairs.groupby("user").cumcount().where(pairs["user"] < EVALUATED, PER_USER)

        for file, rows in zip(files.values(), (place == 0, place == 1, place > 1), strict=True):
            pairs[rows].to_csv(file, sep="\t", index=False, header=False, mode="a")

    with (folder / "generated.item").open("wb") as file:
        file.write(b"item_id:token\ttext:float_seq\n")
        for item in range(n_items):
            digits = rng.integers(ord("0"), ord("9") + 1, (SIZE, 6), dtype=np.uint8)  # "0.123 "
            digits[:, 0], digits[:, 1], digits[:, 5] = ord("0"), ord("."), ord(" ")
            file.write(b"%d\t%s\n" % (item, digits.tobytes()[:-1]))


def measure(given: dict[str, Any]) -> dict[str, float]:
    """Load the data, train and evaluate: seconds of each and the peak memory during each.

    The first process reads the text of the files and ends. The second one reads the binary cache.
    """
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_logger, init_seed
    from train_step import WARM_UP, batches

    import recbole_sibrar  # noqa: F401

    if given["memory_limit"]:
        resource.setrlimit(resource.RLIMIT_DATA, (int(given["memory_limit"] * 1e9),) * 2)

    torch.set_num_threads(given["threads"])
    keys = {
        **common.CONFIGURATIONS["R"],
        **common.QUIET,
        "data_path": given["data_path"],
        "train_batch_size": 10240,
    }
    keys |= {
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": None,
        "use_gpu": False,
        **given["set"],
    }
    config = Config("SiBraR", "generated", config_dict=keys)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    found: dict[str, float] = {}
    train, valid, _ = timed("load", found, lambda: data_preparation(config, create_dataset(config)))
    if given.get("only_load"):
        return found

    model = get_model("SiBraR")(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "SiBraR")(config, model)
    source = batches(train, WARM_UP + given["steps"])
    seconds: dict[str, list[float]] = {"wall": [], "processor": []}
    steps = (next(source) for _ in stepper.timed(WARM_UP + given["steps"], seconds))
    timed("step", found, lambda: trainer._train_epoch(steps, 0))
    found["step s"] = statistics.median(seconds["wall"][WARM_UP:])
    found["step processor s"] = statistics.median(seconds["processor"][WARM_UP:])
    trainer.eval_collector.data_collect(train)
    timed("evaluation", found, lambda: trainer.evaluate(valid, load_best_model=False))

    return found


def timed(name: str, found: dict[str, float], function: Callable[[], Any]) -> Any:
    """Call a function; note its seconds and the peak memory meanwhile."""
    common.forget_peak()
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    found[f"{name} s"] = time.perf_counter() - wall
    found[f"{name} processor s"] = time.process_time() - processor
    found[f"{name} peak MB"] = common.peak_megabytes()
    return result


def plot(frame: pd.DataFrame, file: Path) -> None:
    """Draw seconds and memory by the number of items, both axes logarithmic."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, unit, label in zip(
        axes,
        ("processor s", "peak MB"),
        ("seconds of processor time", "peak memory, MB"),
        strict=True,
    ):
        for name in NAMES:
            axis.plot(frame["items"], frame[f"{name} {unit}"], marker="o", label=name)

        # An axis without a measured value cannot be logarithmic.
        scale = "log" if frame[f"load {unit}"].notna().any() else "linear"
        axis.set(xscale="log", yscale=scale, xlabel="items", ylabel=label)
        axis.grid(alpha=0.3)
        axis.legend()

    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        arguments = json.loads(sys.argv.pop())
        sys.argv = sys.argv[:1]
        print(json.dumps(measure(arguments)))
    else:
        main()
