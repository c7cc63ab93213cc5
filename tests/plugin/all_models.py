"""Train and test every model of RecBole of some kinds on one data set: ``python all_models.py PLUGIN OUTPUT``.

``PLUGIN`` is ``with`` or ``without``. The result or the error of each model is written as JSON.
"""

from __future__ import annotations

import copy
import json
import logging
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

if sys.argv[1:2] == ["with"]:
    import recbole_sibrar  # noqa: F401  # registers the plugin
else:
    runpy.run_path(str(Path(__file__).parents[1] / "alone.py"), run_name="__main__")

import recbole
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

KINDS = ("general", "context_aware", "sequential")

KEYS: dict[str, Any] = {
    "data_path": "dataset",
    "epochs": 1,
    "train_batch_size": 256,
    "show_progress": False,
    "state": "ERROR",
    "load_col": {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "item": ["item_id", "category"],
        "user": ["user_id", "gender"],
    },
}

OF_MODELS: dict[str, dict[str, Any]] = {
    **{
        key: {"train_neg_sample_args": {"sample_num": 1}}
        for key in ("FPMC", "TransRec", "DIN", "DIEN")
    },
    **{key: {"selected_features": ["category"]} for key in ("FDSA", "GRU4RecF", "SASRecF")},
    "S3Rec": {
        "item_attribute": "category",
        "train_stage": "pretrain",
        "pretrain_epochs": 1,
        "save_step": 1,
    },
}
"""Keys needed by single models."""

LABELLED = {
    "threshold": {"rating": 3},
    "eval_args": {"mode": "labeled"},
    "metrics": ["AUC"],
    "valid_metric": "AUC",
}


def models() -> list[tuple[str, str]]:
    """Kind and name of every model."""
    folder = Path(recbole.__file__).parent / "model"
    found = []
    for kind in KINDS:
        for file in sorted((folder / f"{kind}_recommender").glob("[!_]*.py")):
            names = [line[6:].split("(")[0] for line in file.read_text(encoding="utf-8").splitlines()
                     if line.startswith("class ")]  # fmt: skip
            found += [(kind, name) for name in names if name.lower() == file.stem]
    return found


def run(kind: str, model: str) -> dict[str, Any]:
    """RecBole's steps without saving: RecBole alone cannot load its own checkpoints on torch >= 2.6."""
    keys = copy.deepcopy(KEYS)
    if kind == "context_aware":
        keys |= copy.deepcopy(LABELLED)
    if kind == "sequential":
        keys["train_neg_sample_args"] = None
    for key, value in OF_MODELS.get(model, {}).items():
        # RecBole completes dictionaries in place
        keys[key] = dict(value) if isinstance(value, dict) else value

    config = Config(model, "toy", config_dict=keys)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))

    init_seed(config["seed"], config["reproducibility"])
    trainer = get_trainer(config["MODEL_TYPE"], model)(
        config, get_model(model)(config, train._dataset)
    )

    best, _ = trainer.fit(train, valid, saved=False)
    result = trainer.evaluate(test, load_best_model=False)
    return {"valid": float(best), **{key: float(value) for key, value in result.items()}}


if __name__ == "__main__":
    output = Path(sys.argv[2]).absolute()
    sys.argv = sys.argv[:1]
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    outcomes: dict[str, Any] = {}
    for kind, model in models():
        try:
            outcomes[f"{kind} {model}"] = run(kind, model)
        except Exception as error:
            outcomes[f"{kind} {model}"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
        output.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")
