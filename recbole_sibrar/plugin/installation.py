"""Installation of repairs, models, metrics and extensions in RecBole."""

from __future__ import annotations

import inspect
import sys

import recbole.data.dataset
from recbole.evaluator.base_metric import AbstractMetric
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_sibrar import model
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.errors import ConfigError
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.plugin.evaluation.metrics_by_name import register_metric, register_metrics
from recbole_sibrar.plugin.extend import apply, is_applied
from recbole_sibrar.plugin.extensions import EXTENSIONS
from recbole_sibrar.plugin.models import register_model
from recbole_sibrar.plugin.repairs import apply_repairs

__all__ = ["install", "is_installed", "register_class"]


def install() -> None:
    """Install everything; a second call changes nothing."""
    # repairs first: an extension calls the repaired function as its original
    apply_repairs()
    _register_models()
    register_metrics()
    for extension in EXTENSIONS:
        apply(extension)


def is_installed() -> bool:
    """Tell whether every extension is in place."""
    return all(is_applied(extension) for extension in EXTENSIONS)


def register_class(own: object) -> None:
    """Let RecBole find a model or a metric of a user's own by its name.

    Args:
        own: Class derived from a model or a metric, of RecBole or of this plugin.

    Raises:
        ConfigError: It is something else, or its name belongs to another class.
    """
    if inspect.isclass(own) and issubclass(own, AbstractRecommender):
        register_model(own)
    elif inspect.isclass(own) and issubclass(own, AbstractMetric):
        register_metric(own)
    else:
        raise ConfigError(
            f"register: found {own!r}, allowed are classes derived from a model or a metric"
        )


def _register_models() -> None:
    """Let RecBole find our models, and the class of their data sets, by name."""
    for name in OWN_MODELS:
        # RecBole imports recbole.model.general_recommender.<name in small letters>
        module = sys.modules[getattr(model, name).__module__]
        sys.modules[f"recbole.model.general_recommender.{name.lower()}"] = module
        setattr(recbole.data.dataset, f"{name}Dataset", MultimodalDataset)
