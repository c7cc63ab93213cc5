"""Test results of several models over several seeds, as a table: ``python benchmarks/accuracy.py``.

Every run is RecBole's own ``run_recbole``, by default with the model's defaults and RecBole's default protocol (random
split per user, early stopping on validation MRR@10).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import settings
from recbole.quick_start import run_recbole

import recbole_sibrar


def main() -> None:
    """Run all models with all seeds and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["BPR", *recbole_sibrar.MODELS])
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--seeds", nargs="+", type=int, default=[2020, 2021, 2022])
    parser.add_argument(
        "--config_files", nargs="+", default=[], help="files, or names of ready-made ones"
    )
    parser.add_argument(
        "--columns", nargs="+", default=["ndcg@10", "recall@10", "mrr@10", "hit@10", "precision@10"]
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="[MODEL:]KEY=VALUE",
        help="keys, for all models or for one",
    )
    args = parser.parse_args()

    sys.argv = sys.argv[:1]
    lines = [
        f"| model | seed | {' | '.join(args.columns)} | minutes |",
        "|---" * (len(args.columns) + 3) + "|",
    ]

    for model in args.models:
        rows = []
        for seed in args.seeds:
            start = time.perf_counter()
            result = run(
                model, args.dataset, args.config_files, {**settings(args.set, model), "seed": seed}
            )
            rows.append([result[metric] for metric in args.columns])
            minutes = (time.perf_counter() - start) / 60
            lines.append(
                f"| {model} | {seed} | {' | '.join(f'{x:.4f}' for x in rows[-1])} | {minutes:.1f} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)

        mean = np.mean(rows, axis=0)
        deviation = np.std(rows, axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(mean))
        cells = [f"{m:.4f} ± {d:.4f}" for m, d in zip(mean, deviation, strict=True)]
        lines.append(f"| **{model}** | mean ± std | {' | '.join(cells)} | |")

    print("\n".join(lines))


def run(model: str, dataset: str, config_files: list[str], keys: dict[str, Any]) -> dict[str, Any]:
    """Return the test result of one run, and delete its checkpoint."""
    with TemporaryDirectory() as folder:
        quiet = {"show_progress": False, "state": "WARNING", "checkpoint_dir": str(Path(folder))}
        return run_recbole(
            model, dataset, config_file_list=config_files, config_dict={**quiet, **keys}
        )["test_result"]


if __name__ == "__main__":
    main()
