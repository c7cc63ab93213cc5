"""Trainer, collector and evaluator of RecBole, for any model and any way to start an evaluation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.evaluator import register as registry
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.trainer import Trainer
from recbole.utils import get_trainer, init_seed

from recbole_sibrar.config import ConfigError
from recbole_sibrar.evaluator.evaluation_state import collector_state
from recbole_sibrar.evaluator.metrics import METRICS
from recbole_sibrar.plugin.evaluation import metrics_by_name

Build = Callable[..., tuple[Any, ...]]
OURS = [metric.__name__ for metric in METRICS]
OF_TRAINING_DATA = [
    "ItemCoverage",
    "AveragePopularity",
    "ShannonEntropy",
    "GiniIndex",
    "TailPercentage",
]
EVERYTHING: dict[str, Any] = {
    "metrics": [*OURS, *OF_TRAINING_DATA, "Recall", "MRR", "NDCG", "Hit", "Precision", "MAP"],
    "topk": [5, 10],
    "ild_modality": "text",
    "calibration_field": "tags",
}


def trainer_of(config: Any, model: Any) -> Any:
    return get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


def by_hand(built: tuple[Any, ...]) -> Any:
    """A test loader made without ``data_preparation``."""
    config, *_, test = built
    return type(test)(config, test._dataset, test._sampler, shuffle=False)


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_loaded_checkpoint_has_every_metric(make_model: Build, model: str) -> None:
    config, net, train, valid, test = make_model(
        model=model, **EVERYTHING, eval_groups={"gender": "user"}
    )
    trainer = trainer_of(config, net)
    trainer.fit(train, valid, show_progress=False)
    expected = trainer.evaluate(test, load_best_model=True)
    loaded_config, loaded, *_, loaded_test = load_data_and_model(trainer.saved_model_file)
    result = Trainer(loaded_config, loaded).evaluate(loaded_test, load_best_model=False)
    assert dict(result) == pytest.approx(dict(expected), nan_ok=True, abs=0)
    assert len(result) == 2 * len(EVERYTHING["metrics"]) * (1 + 3)
    assert not any(math.isnan(value) for key, value in result.items() if "[" not in key)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
def test_groups_are_in_the_test_result_only(make_model: Build, tiny_folder: Path) -> None:
    settings = {
        "data_path": str(tiny_folder),
        "show_progress": False,
        "state": "ERROR",
        "epochs": 1,
        **EVERYTHING,
    }
    settings |= {"eval_groups": {"popularity": "item"}, "save_per_user": "users.parquet"}
    result = run_recbole(model="BPR", dataset="tiny", config_dict=settings, saved=False)
    assert not any("[" in key for key in result["best_valid_result"])
    assert {key.split("[")[1] for key in result["test_result"] if "[" in key} == {
        "popularity=head]",
        "popularity=tail]",
    }
    assert Path("users.parquet").is_file()


@pytest.mark.parametrize("mode", ["full", "uni20", "pop20"])
def test_handmade_loader_with_our_metric(make_model: Build, mode: str) -> None:
    arguments = {"split": {"RS": [0.7, 0.1, 0.2]}, "group_by": "user", "order": "RO", "mode": mode}
    built = make_model(
        model="BPR", metrics=["Recall", "ARP"], valid_metric="Recall@10", eval_args=arguments
    )
    with pytest.raises(
        ConfigError, match=r"^metrics: found \['ARP'\], .* recbole\.data\.data_preparation.*$"
    ):
        trainer_of(*built[:2]).evaluate(by_hand(built), load_best_model=False)


@pytest.mark.parametrize(
    "setting", [{"eval_groups": {"gender": "user"}}, {"save_per_user": "users.parquet"}]
)
def test_handmade_loader_with_a_report(make_model: Build, setting: dict[str, Any]) -> None:
    built = make_model(model="BPR", **setting)
    with pytest.raises(
        ConfigError, match=rf"^{next(iter(setting))}: found .* recbole\.data\.data_preparation.*$"
    ):
        trainer_of(*built[:2]).evaluate(by_hand(built), load_best_model=False)


def test_handmade_loader_of_recboles_metrics(make_model: Build) -> None:
    built = make_model(model="BPR")
    trainer = trainer_of(*built[:2])
    expected = trainer.evaluate(built[-1], load_best_model=False)
    assert trainer.evaluate(by_hand(built), load_best_model=False) == expected


def test_without_data_nothing_is_evaluated(make_model: Build) -> None:
    config, model, *_ = make_model(
        model="BPR", metrics=["ARP"], valid_metric="ARP@10", eval_groups={"gender": "user"}
    )
    assert trainer_of(config, model).evaluate(None, load_best_model=False) is None


@pytest.mark.parametrize("mode", ["full", "uni10"])
def test_batch_size_changes_no_result(make_model: Build, mode: str) -> None:
    arguments = {"split": {"RS": [0.7, 0.1, 0.2]}, "group_by": "user", "order": "RO", "mode": mode}
    results = []
    for size in (1, 100000):
        config, model, *_, test = make_model(
            model="BPR", **EVERYTHING, eval_args=arguments, eval_batch_size=size
        )
        init_seed(3, True)
        results.append(dict(trainer_of(config, model).evaluate(test, load_best_model=False)))
    assert results[0] == pytest.approx(results[1], abs=2e-4)  # rounded to four places


def test_evaluations_are_independent(make_model: Build) -> None:
    config, model, _, valid, test = make_model(model="BPR", **EVERYTHING)
    trainer = trainer_of(config, model)
    first = trainer.evaluate(test, load_best_model=False)
    trainer.evaluate(valid, load_best_model=False)
    assert trainer.evaluate(test, load_best_model=False) == first
    assert collector_state(trainer.eval_collector).struct is None
    assert collector_state(trainer.eval_collector).lists is None


def test_registering_metrics_twice() -> None:
    def state() -> list[Any]:
        tables = (registry.metrics_dict, registry.metric_information, registry.metric_types)
        return [*map(dict, tables), list(registry.smaller_metrics)]

    before = state()
    metrics_by_name.register_metrics()
    assert state() == before
    smaller = {"gini", "arp", "pl", "popreo", "poprsp", "usercalibration"}
    assert {name.lower() for name in OURS} & set(registry.smaller_metrics) == smaller


def test_metrics_document_formula_and_source() -> None:
    for metric in METRICS:
        assert ".. math::" in metric.__doc__, metric
        summary = metric.__doc__.partition(".. math::")[0]
        assert re.search(r"\b(19|20)\d\d\b|\[[AB]\] section \d", summary), metric
