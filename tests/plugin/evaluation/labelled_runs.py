"""Run RecBole without the plugin: ``python labelled_runs.py DATA_PATH CASES``."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed


def run(data_path: str, model: str, keys: dict[str, Any]) -> dict[str, float]:
    """Train and test a model on the data set ``tiny``."""
    settings = {
        "data_path": data_path,
        "show_progress": False,
        "state": "ERROR",
        "epochs": 1,
        "tensorboard": "none",
    }
    config = Config(model, "tiny", config_dict={**settings, **keys})
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    network = get_model(config["model"])(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    trainer.fit(train, valid, saved=False, show_progress=False)
    return {
        key: float(value) for key, value in trainer.evaluate(test, load_best_model=False).items()
    }


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "alone.py"), run_name="__main__")
    folder, cases = sys.argv[1:]
    sys.argv = sys.argv[:1]
    results = {name: run(folder, *case) for name, case in json.loads(cases).items()}
    print(json.dumps({"plugin": "recbole_sibrar" in sys.modules, "results": results}))  # noqa: T201
