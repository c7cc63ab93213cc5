"""Training step of any other Python program beside ours: ``python benchmarks/beside.py PROGRAM``.

    python benchmarks/beside.py other.py --data dataset/ml-1m --config R P --batch_sizes 256 1024
    python benchmarks/beside.py OTHER_CHECKOUT/benchmarks/train_step.py --python OTHER_VENV/bin/python

Both programs stay in memory, and run some steps each, in turn. A ratio is computed within a round, and its median is
printed. ``stepper.py`` tells what the other program has to offer.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import common
from stepper import Stepper

HEADER = (
    "configuration",
    "positives",
    "ours, ms a step",
    "other, ms a step",
    "ratio",
    "ours, ms of processor time",
    "other, ms of processor time",
    "ratio of processor time",
    "ours, peak MB",
    "other, peak MB",
)


def main() -> None:
    """Measure every configuration with every batch size and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument(
        "program",
        type=Path,
        metavar="PROGRAM",
        help="file with the function make_step or make_steps",
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter of the other program")
    parser.add_argument(
        "--options", type=json.loads, default={}, metavar="JSON", help="arguments for it alone"
    )
    parser.add_argument("--config", nargs="+", default=["R"], choices=sorted(common.CONFIGURATIONS))
    parser.add_argument(
        "--batch_sizes", nargs="+", type=int, default=[256, 1024], help="positives in a batch"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="steps of each program in a round")
    common.add_keys(parser, about="further keys of our configuration")
    args = parser.parse_args()

    if not args.program.is_file():
        parser.error(f"PROGRAM: found no file {args.program}")

    rows = []
    with common.open_data(args.data, args.prepared) as data:
        folder = str(Path(data.keys["data_path"]) / data.name) if "data_path" in data.keys else ""
        for name, size in itertools.product(args.config, args.batch_sizes):
            given = {"data": folder, "batch_size": size, "threads": args.threads, "config": name}
            ours = {**given, "settings": common.settings(args.set)}
            rows.append([name, f"{size:,}", *compare(args, ours, {**given, **args.options})])

    print(f"{args.program} beside our trainer, {common.machine(args.threads)}")
    print(f"medians of {args.rounds} rounds of {args.steps} steps; a ratio above 1: ours is faster")
    print(common.table(HEADER, rows))


def compare(args: Any, ours: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Run the steps of both programs in turn, and format their part of a row."""
    programs = [
        Stepper(Path(__file__).with_name("train_step.py"), sys.executable, ours),
        Stepper(args.program, args.python, other),
    ]
    for program in programs:
        program.run(3)  # to warm up

    rounds = [[program.run(args.steps) for program in programs] for _ in range(args.rounds)]
    for program in programs:
        program.end()

    cells = []
    for kind in ("wall", "processor"):
        pairs = [[statistics.median(found[kind]) for found in one] for one in rounds]
        cells += [
            f"{1000 * statistics.median(seconds):.1f}" for seconds in zip(*pairs, strict=True)
        ]
        cells.append(f"{statistics.median(second / first for first, second in pairs):.2f}")
    return [*cells, *(f"{found['peak MB']:.0f}" for found in rounds[-1])]


if __name__ == "__main__":
    main()
