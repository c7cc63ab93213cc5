"""Ask RecBole for lists without the plugin: ``case_study_runs.py DATA_PATH CASES``."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_logger, init_seed
from recbole.utils.case_study import full_sort_scores, full_sort_topk


def run(data_path: str, model: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Lists and scores of some users by an untrained model on the data set ``tiny``."""
    config = Config(model, "tiny", config_dict={"data_path": data_path, "state": "ERROR", **keys})
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    network = get_model(config["model"])(config, train._dataset)
    users = np.array([5, 2, 9, 5])
    found = {}
    for name, loader in (("valid", valid), ("test", test)):
        values, items = full_sort_topk(users, network, loader, 7)
        scores = full_sort_scores(users, network, loader)
        found[name] = [
            values.tolist(),
            items.tolist(),
            [[str(score) for score in row] for row in scores.tolist()],
        ]
    return found


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "alone.py"), run_name="__main__")
    folder, cases = sys.argv[1:]
    sys.argv = sys.argv[:1]
    results = {name: run(folder, *case) for name, case in json.loads(cases).items()}
    print(json.dumps({"plugin": "recbole_sibrar" in sys.modules, "results": results}))  # noqa: T201
