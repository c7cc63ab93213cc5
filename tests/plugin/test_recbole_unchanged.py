"""RecBole's own models compute the same bits with and without the plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alone import ALONE

pytestmark = [pytest.mark.slow, pytest.mark.processes]

MODELS = ("BPR", "LightGCN", "Pop", "DMF")

SCRIPT = """
import hashlib, json, sys

if sys.argv.pop(1) == "with":
    import recbole_sibrar
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed


def feed(digest, value):
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode() + value.detach().numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value):
            digest.update(key.encode())
            feed(digest, value[key])
    else:
        digest.update(repr(value).encode())


def train(name):
    settings = {"epochs": 1, "show_progress": False, "state": "ERROR", "saved": False}
    settings.update({"train_batch_size": 8192, "eval_batch_size": 1000000})
    config = Config(name, "ml-100k", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, valid = trainer.fit(train_data, valid_data, saved=False, show_progress=False)
    test = trainer.evaluate(test_data, load_best_model=False, show_progress=False)
    digest = hashlib.sha256()
    feed(digest, model.cpu().state_dict())
    feed(digest, model.other_parameter() or {})
    return {
        "parameters": digest.hexdigest(),
        "losses": {str(epoch): float(loss).hex() for epoch, loss in trainer.train_loss_dict.items()},
        "valid": {key: float(value) for key, value in valid.items()},
        "test": {key: float(value) for key, value in test.items()},
    }


results = {name: train(name) for name in json.loads(sys.argv.pop(1))}
print(json.dumps({"plugin": "recbole_sibrar" in sys.modules, "results": results}))
"""


def run(folder: Path, plugin: str) -> dict[str, Any]:
    script = SCRIPT if plugin == "with" else ALONE + SCRIPT
    command = [sys.executable, "-c", script, plugin, json.dumps(MODELS)]
    # LightGCN adds in an order that varies as soon as torch has two threads or a GPU
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reports of a process without the plugin and of one with it."""
    without = run(tmp_path_factory.mktemp("without"), "without")
    with_plugin = run(tmp_path_factory.mktemp("with"), "with")
    assert (without["plugin"], with_plugin["plugin"]) == (False, True)
    return without["results"], with_plugin["results"]


@pytest.mark.parametrize("model", MODELS)
def test_recboles_models_train_alike(
    runs: tuple[dict[str, Any], dict[str, Any]], model: str
) -> None:
    without, with_plugin = runs
    assert with_plugin[model]["test"] == without[model]["test"]
    assert with_plugin[model] == without[model]


def test_comparison_tells_models_apart(runs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    without, _ = runs
    assert len({without[model]["parameters"] for model in MODELS}) == len(MODELS)
    assert all(0 < without[model]["test"]["recall@10"] < 1 for model in MODELS)
