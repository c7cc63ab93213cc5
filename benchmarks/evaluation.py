"""Seconds of a full-sort evaluation, with RecBole's default metrics and with all: ``python benchmarks/evaluation.py``.

    python benchmarks/evaluation.py --data DIR --ild_modality text --calibration_field genres
    python benchmarks/evaluation.py --dataset my-data --data_path dataset --ild_modality text --calibration_field tags

The model is not trained, because the cost of an evaluation does not depend on it. All sides run in turn in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import common
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType, get_model, get_trainer, init_logger, init_seed

from recbole_sibrar.evaluator.metrics import METRICS

DEFAULT = ["Recall", "MRR", "NDCG", "Hit", "Precision"]
OURS = [*DEFAULT, *(metric.__name__ for metric in METRICS)]
ALL = sorted(name for name, kind in metric_types.items() if kind is EvaluatorType.RANKING)


def main() -> None:
    """Time both evaluations and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--model", default="SiBraR")
    parser.add_argument("--dataset", help="a data set in data_path, instead of --data")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--ild_modality", default="class")
    parser.add_argument("--calibration_field", default="class")
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()

    sys.argv = sys.argv[:1]
    names = {
        "RecBole's default metrics": DEFAULT,
        "and all of recbole-sibrar": OURS,
        "all ranking metrics of both": ALL,
    }
    torch.set_num_threads(args.threads)

    with common.open_data(args.data, args.prepared) as data:
        if args.dataset:
            data = common.Data(args.dataset, {"data_path": args.data_path})

        evaluations = {label: evaluation(args, data, metrics) for label, metrics in names.items()}

    seconds: dict[str, list[float]] = {label: [] for label in names}
    for _ in range(args.repetitions):
        for label, evaluate in evaluations.items():
            start = time.perf_counter()
            evaluate()
            seconds[label].append(time.perf_counter() - start)

    medians = {label: statistics.median(times) for label, times in seconds.items()}
    first = medians["RecBole's default metrics"]

    print(
        f"{args.model} on {data.name}, median of {args.repetitions}, {common.machine(args.threads)}"
    )

    for label, median in medians.items():
        ratio = f"{median - first:+.2f} s, {median / first:.2f}x"
        print(f"{label:<28} {len(names[label]):>3} metrics {median:7.2f} s, {ratio}")

    print(f"peak memory {common.peak_megabytes():.0f} MB")


def evaluation(
    args: argparse.Namespace, data: common.Data, metrics: list[str]
) -> Callable[[], object]:
    """Prepare an evaluation of an untrained model on the test part of RecBole's default split."""
    keys = {**data.keys, **common.QUIET, "metrics": metrics}
    keys |= {"ild_modality": args.ild_modality, "calibration_field": args.calibration_field}
    config = Config(args.model, data.name, config_dict=keys)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, _, test = data_preparation(config, create_dataset(config))
    model = get_model(args.model)(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], args.model)(config, model)
    trainer.eval_collector.data_collect(train)

    return lambda: trainer.evaluate(test, load_best_model=False)


if __name__ == "__main__":
    main()
