"""Metrics of labels (AUC, LogLoss, RMSE, MAE): RecBole's numbers for its models, scikit-learn's for ours."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.utils import get_trainer
from sklearn.metrics import mean_absolute_error, roc_auc_score, root_mean_squared_error

import recbole_sibrar
from recbole_sibrar.config import ConfigError

Build = Callable[..., tuple[Any, ...]]
SCRIPT = Path(__file__).with_name("labelled_runs.py")

LABELS = {"metrics": ["AUC", "LogLoss", "RMSE", "MAE"], "valid_metric": "AUC"}
COLUMNS = {"inter": ["user_id", "item_id", "rating", "timestamp"]}


def evaluation(mode: str, order: str = "RO") -> dict[str, Any]:
    split: dict[str, Any] = {"RS": [0.8, 0.1, 0.1]} if order == "RO" else {"LS": "valid_and_test"}
    return {"split": split, "group_by": "user", "order": order, "mode": mode}


RATED = {
    **LABELS,
    "load_col": COLUMNS,
    "threshold": {"rating": 3},
    "eval_args": evaluation("labeled"),
}
DRAWN = {**LABELS, "load_col": COLUMNS, "eval_args": evaluation("uni3"), "eval_batch_size": 4}
SEQUENCES = {
    **LABELS,
    "load_col": COLUMNS,
    "train_neg_sample_args": None,
    "eval_args": evaluation("uni3", "TO"),
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "context": ("FM", {**RATED, "eval_batch_size": 7}),
    "context, all fields": ("DeepFM", {**RATED, "load_col": None, "eval_batch_size": 7}),
    "general, labels": ("BPR", {**RATED, "eval_batch_size": 7}),
    "general, drawn": ("BPR", DRAWN),
    "pairs of scores, drawn": ("NeuMF", DRAWN),
    "sequential, drawn": ("SASRec", {**SEQUENCES, "eval_batch_size": 4}),
    "ranking of few": ("BPR", {**DRAWN, "metrics": ["NDCG", "GAUC"], "valid_metric": "NDCG@10"}),
}
"""The last batch of each has fewer rows than the default ``topk``, 10."""


@pytest.fixture(scope="module")
def alone(
    shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, float]]:
    """Metrics of RecBole without the plugin."""
    command = [sys.executable, str(SCRIPT), str(shared_folder), json.dumps(CASES)]
    folder = tmp_path_factory.mktemp("alone")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["plugin"]
    return found["results"]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_recboles_models_give_its_numbers(
    alone: dict[str, dict[str, float]],
    shared_folder: Path,
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    assert runpy.run_path(str(SCRIPT))["run"](str(shared_folder), *CASES[case]) == alone[case]


@pytest.mark.parametrize("split", [{"RS": [0.6, 0.2, 0.2]}, {"CS": [0.6, 0.2, 0.2]}])
@pytest.mark.parametrize("model", recbole_sibrar.MODELS)
def test_our_models_are_measured_by_predict(
    make_model: Build, model: str, split: dict[str, Any]
) -> None:
    evaluated = {"split": split, "group_by": "item" if "CS" in split else "user", "mode": "labeled"}
    settings = {
        **RATED,
        "load_col": None,
        "eval_args": evaluated,
        "eval_batch_size": 7,
        "metric_decimal_place": 10,
    }
    config, network, _, _, test = make_model(model=model, **settings)
    result = get_trainer(config["MODEL_TYPE"], model)(config, network).evaluate(
        test, load_best_model=False
    )

    rows = test._dataset.inter_feat
    with torch.no_grad():
        scores = network.predict(
            Interaction({name: rows[name] for name in ("user_id", "item_id")})
        ).numpy()
    labels = rows["label"].numpy()
    assert 0 < labels.mean() < 1
    assert result["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert result["mae"] == pytest.approx(mean_absolute_error(labels, scores), rel=1e-5)
    assert result["rmse"] == pytest.approx(root_mean_squared_error(labels, scores), rel=1e-5)


@pytest.mark.parametrize(
    ("key", "value"), [("eval_groups", {"gender": "user"}), ("save_per_user", "users.parquet")]
)
@pytest.mark.parametrize("model", ["FM", "SiBraR"])
def test_reports_of_rankings_are_refused(
    make_config: Callable[..., Config], model: str, key: str, value: Any
) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: found .*'AUC'.* no ranking metrics$"):
        make_config(model, **RATED, **{key: value})


def test_labels_and_rankings_do_not_mix(make_config: Callable[..., Config]) -> None:
    keys = {**RATED, "metrics": ["Recall"], "valid_metric": "Recall@10"}
    with pytest.raises(
        ConfigError,
        match=r"^eval_args: mode: found 'labeled', allowed is full, .*'Recall'.*rankings$",
    ):
        make_config("FM", **keys)


@pytest.mark.parametrize("model", ["BPR", "SiBraR", "FM"])
def test_labels_all_alike_have_no_auc(make_model: Build, model: str) -> None:
    built = make_model(model=model, **{**RATED, "threshold": {"rating": 1}})
    config, network, train, valid, _ = built
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    with pytest.raises(
        ConfigError, match=r"^valid_metric: found auc, .*: the labels are all alike"
    ):
        trainer.fit(train, valid, saved=False, show_progress=False)
