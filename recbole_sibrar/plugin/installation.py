"""Installation of repairs, models, metrics and extensions in RecBole."""

from __future__ import annotations

import sys

import recbole.data.dataset

from recbole_sibrar import model
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.plugin.evaluation.hooks import register_metrics
from recbole_sibrar.plugin.extend import apply, is_applied
from recbole_sibrar.plugin.extensions import EXTENSIONS
from recbole_sibrar.plugin.repairs import apply_repairs

__all__ = ["install", "is_installed"]


def install() -> None:
    """Install everything; a second call changes nothing."""
    apply_repairs()
    _register_models()
    register_metrics()
    for extension in EXTENSIONS:
        apply(extension)


def is_installed() -> bool:
    """Tell whether every extension is in place."""
    return all(is_applied(extension) for extension in EXTENSIONS)


def _register_models() -> None:
    """Let RecBole find our models, and the class of their data sets, by name."""
    for name in OWN_MODELS:
        # RecBole imports recbole.model.general_recommender.<name in small letters>
        module = sys.modules[getattr(model, name).__module__]
        sys.modules[f"recbole.model.general_recommender.{name.lower()}"] = module
        setattr(recbole.data.dataset, f"{name}Dataset", MultimodalDataset)
