"""Cost of the record of the training data in a checkpoint: ``python benchmarks/training_record.py``.

    python benchmarks/training_record.py --data DIR --models SiBraR BPR

The table has three figures for each model: seconds of loading and splitting the data with the record's share, size of a
checkpoint, and milliseconds of its writing with and without the record. They are medians of repetitions in one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import common
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

import recbole_sibrar  # noqa: F401  # registers the plugin
from recbole_sibrar.data.record import recording
from recbole_sibrar.data.record.tables import Tables
from recbole_sibrar.data.record.training_data import KEY
from recbole_sibrar.trainer import checkpoint, state

HEADER = (
    "model",
    "load and split s",
    "record s",
    "share",
    "kB",
    "of them record",
    "write ms",
    "without record",
)
MEASURED = ((Tables, "fingerprints"), (Tables, "parts"), (recording, "joined"))
"""Functions that make the record, beside RecBole's own steps."""


def main() -> None:
    """Measure all models and print a table."""
    parser = common.parser_for(__doc__)
    parser.add_argument("--models", nargs="+", default=["SiBraR", "BPR"])
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    spent = [0.0]

    for owner, name in MEASURED:
        setattr(owner, name, _timed(getattr(owner, name), spent))

    with common.open_data(args.data, args.prepared) as data, TemporaryDirectory() as folder:
        rows = [
            _measure(model, data, Path(folder), args.repetitions, spent) for model in args.models
        ]

    print(f"{data.name}, {common.machine(args.threads)}")
    print(common.table(HEADER, rows))


def _timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[0] += time.perf_counter() - start

    return timed


def _measure(
    model: str, data: common.Data, folder: Path, repetitions: int, spent: list[float]
) -> list[str]:
    keys = {**data.keys_for(model), **common.QUIET, "checkpoint_dir": str(folder), "epochs": 1}
    config = Config(model, data.name, config_dict=keys)
    seconds, shares = [], []

    for _ in range(repetitions):
        init_seed(config["seed"], config["reproducibility"])
        spent[0], start = 0.0, time.perf_counter()
        loaders = data_preparation(config, create_dataset(config))
        seconds.append(time.perf_counter() - start)
        shares.append(spent[0])

    network = get_model(model)(config, loaders[0]._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    trainer.fit(loaders[0], saved=False)  # so that the optimiser has what it writes
    written = {True: [], False: []}
    sizes = {}

    for _ in range(repetitions):
        for with_record in written:
            start = time.perf_counter()
            content = state.full_state(trainer, 0, None, state.loader_states(loaders[0]), {})
            checkpoint.write(
                config, folder / "state.pth", content if with_record else {**content, KEY: None}
            )
            written[with_record].append(1000 * (time.perf_counter() - start))
            sizes[with_record] = (folder / "state.pth").stat().st_size / 1000

    total, record = statistics.median(seconds), statistics.median(shares)
    row = [model, f"{total:.2f}", f"{record:.3f}", f"{100 * record / total:.1f} %"]
    row += [f"{sizes[True]:.0f}", f"{sizes[True] - sizes[False]:.1f}"]
    return row + [f"{statistics.median(written[with_record]):.1f}" for with_record in (True, False)]


if __name__ == "__main__":
    main()
