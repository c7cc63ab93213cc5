"""Seconds, memory and accuracy of ``run_recbole``, SiBraR's and RecBole's models: ``python benchmarks/end_to_end.py``.

    python benchmarks/end_to_end.py --data DIR --epochs 5
    python benchmarks/end_to_end.py --data DIR --models R BPR --set R:train_batch_size=81920

Every model runs in a process of its own, with the same split, candidates, metrics and number of epochs, and otherwise
with its defaults. ``R`` and ``P`` are SiBraR in the two configurations of README.md.
"""

from __future__ import annotations

import statistics

import common
from memory import __file__ as child
from memory import specification

HEADER = ("model", "s an epoch", "s an evaluation", "s in total", "peak MB", "nDCG@10")


def main() -> None:
    """Run all models and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--models", nargs="+", default=["R", "SiBraR", "BPR", "LightGCN", "DMF"])
    parser.add_argument("--epochs", type=int, default=2)
    common.add_keys(parser, about="further keys", metavar="[MODEL:]KEY=VALUE")
    args = parser.parse_args()

    rows = []
    with common.open_data(args.data, args.prepared) as data:
        for model in args.models:
            found = common.run_child(
                child, specification(model, data, args.epochs, args.set, args.threads)
            )
            if "error" in found:
                rows.append([model, found["error"], *[""] * (len(HEADER) - 2)])
                continue

            epoch, evaluation = (
                statistics.median(found[name]) for name in ("epochs", "evaluations")
            )
            row = [
                model,
                f"{epoch:.2f}",
                f"{evaluation:.2f}",
                f"{found['total']:.1f}",
                f"{found['peaks']['end']:.0f}",
            ]
            rows.append([*row, f"{found['ndcg']:.4f}"])

    print(
        f"{data.name}, {args.epochs} epochs, test nDCG@10 of the best one, {common.machine(args.threads)}"
    )
    print(common.table(HEADER, rows))


if __name__ == "__main__":
    main()
