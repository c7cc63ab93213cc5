"""A trained model is used again in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model
from recbole.trainer import Trainer

from recbole_sibrar.config.choices import properties

pytestmark = [pytest.mark.slow, pytest.mark.processes]

SCRIPT = """
import json, sys
from recbole.quick_start import load_data_and_model
from recbole.utils import get_trainer
from recbole.utils.case_study import full_sort_topk
import recbole_sibrar
config, model, dataset, train, valid, test = load_data_and_model(sys.argv.pop())
trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
result = trainer.evaluate(test, load_best_model=False)
_, items = full_sort_topk([1, 2], model, test, 5)
print(json.dumps([result, items.tolist()], default=float))
"""


@pytest.mark.parametrize("name", ["SiBraR", "DropoutNet", "CLCRec"])
def test_same_results_in_a_fresh_process(
    make_model: Callable[..., tuple[Any, ...]], tmp_path: Path, name: str
) -> None:
    config, model, train, valid, test = make_model(model=name, user_modalities="auto")
    trainer = Trainer(config, model)
    trainer.fit(train, valid)
    expected = trainer.evaluate(test)
    history = {row: set(test.uid2history_item[row].tolist()) for row in (1, 2)}
    command = [sys.executable, "-c", SCRIPT, trainer.saved_model_file]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result, items = json.loads(run.stdout.splitlines()[-1])
    assert result == dict(expected)
    for row, recommended in zip((1, 2), items, strict=True):
        assert 0 not in recommended
        assert not set(recommended) & history[row]


def test_a_loaded_model_computes_no_start(
    make_model: Callable[..., tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = properties() / "quick_start_config" / "cold_start_sibrar.yaml"
    keys = yaml.safe_load(file.read_text(encoding="utf-8"))
    config, model, train, valid, _ = make_model(model="SiBraR", **keys)
    trainer = Trainer(config, model)
    trainer.fit(train, valid, show_progress=False)

    monkeypatch.setattr("recbole_sibrar.model.training.warm_start.start_factors", None)
    _, loaded, *_ = load_data_and_model(str(trainer.saved_model_file))
    users = Interaction({"user_id": torch.arange(1, model.n_users)})
    scores = model.eval().full_sort_predict(users)
    assert loaded.eval().full_sort_predict(users).equal(scores)
