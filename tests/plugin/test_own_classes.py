"""Models and metrics of a user's own, registered by ``recbole_sibrar.register``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from recbole.config import Config
from recbole.evaluator import register as registry
from recbole.evaluator.base_metric import AbstractMetric
from recbole.model.general_recommender import BPR
from recbole.quick_start import run_recbole
from recbole.utils import get_model

import recbole_sibrar
from recbole_sibrar.errors import ConfigError, DataError
from recbole_sibrar.evaluator import RecommendationLists, TrainingKnowledge, UserListMetric
from recbole_sibrar.model import SiBraR
from recbole_sibrar.plugin import models

MakeConfig = Callable[..., Config]

DICTIONARIES = ("metrics_dict", "metric_information", "metric_types")


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the registries as they were."""
    monkeypatch.setattr(models, "_REGISTERED", {})
    before = {name: dict(getattr(registry, name)) for name in DICTIONARIES}
    smaller = list(registry.smaller_metrics)
    yield
    for name, entries in before.items():
        getattr(registry, name).clear()
        getattr(registry, name).update(entries)
    registry.smaller_metrics[:] = smaller


class MyBPR(BPR):
    """A model of RecBole under another name."""


class Registered(SiBraR):
    """A model of the plugin under another name."""


class Misses(UserListMetric):
    """Places of a list without a held-out item."""

    smaller = True

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        misses: NDArray[np.float64] = (~lists.hits[:, :k].astype(bool)).sum(1).astype(float)
        return misses


class NeedsPrice(Misses):
    """A metric that reads a field."""

    def read(self, knowledge: TrainingKnowledge) -> None:
        raise DataError("no price here")


@pytest.mark.parametrize("own", [MyBPR, Registered])
def test_a_model_is_found_by_name(own: type) -> None:
    recbole_sibrar.register(own)
    recbole_sibrar.register(own)
    assert get_model(own.__name__) is own
    assert get_model("BPR") is BPR


@pytest.mark.slow
def test_a_model_of_recbole_trains_by_name(make_config: MakeConfig) -> None:
    keys = {**make_config("BPR").variable_config_dict, "epochs": 1}
    recbole_sibrar.register(MyBPR)
    own = run_recbole("MyBPR", "tiny", config_dict=dict(keys))
    assert own["test_result"] == run_recbole("BPR", "tiny", config_dict=dict(keys))["test_result"]


@pytest.mark.slow
def test_a_metric_is_measured(make_config: MakeConfig) -> None:
    recbole_sibrar.register(Misses)
    keys = {
        "metrics": ["Misses", "Precision"],
        "topk": [5],
        "valid_metric": "Misses@5",
        "epochs": 1,
    }
    result = run_recbole(
        "Pop", "tiny", config_dict={**make_config("Pop").variable_config_dict, **keys}
    )
    assert not result["valid_score_bigger"]

    found = result["test_result"]
    assert found["misses@5"] == pytest.approx(5 * (1 - found["precision@5"]), abs=5e-4)


@pytest.mark.slow
def test_a_metric_reads_its_field_early(make_config: MakeConfig) -> None:
    recbole_sibrar.register(NeedsPrice)
    keys = {"metrics": ["NeedsPrice"], "valid_metric": "NeedsPrice@10"}
    with pytest.raises(DataError, match="no price here"):
        run_recbole("Pop", "tiny", config_dict={**make_config("Pop").variable_config_dict, **keys})


def test_a_class_defined_again_replaces_it() -> None:
    again = type(
        "Misses", (UserListMetric,), {"__module__": Misses.__module__, "__qualname__": "Misses"}
    )
    recbole_sibrar.register(Misses, again)
    assert registry.metrics_dict["misses"] is again
    assert "misses" not in registry.smaller_metrics


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (type("BPR", (SiBraR,), {}), "found the model BPR, allowed is another name: recbole.model"),
        (type("Bpr", (SiBraR,), {}), "found the model Bpr, allowed is another name"),
        (
            type("SiBraR", (SiBraR,), {}),
            "found the model SiBraR, allowed is another name: recbole_sibrar.model",
        ),
        (
            type("NDCG", (UserListMetric,), {}),
            "found the metric NDCG, allowed is another name: recbole.evaluator",
        ),
        (type("Bare", (AbstractMetric,), {}), "found Bare without metric_need or metric_type"),
        (int, "found <class 'int'>, allowed are classes derived from a model or a metric"),
        ("SiBraR", "found 'SiBraR', allowed are classes"),
    ],
)
def test_what_cannot_be_registered(own: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recbole_sibrar.register(own)
