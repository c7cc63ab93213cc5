"""Look-up of models by name, and of their data sets by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import recbole.data.dataset
import recbole.utils
from recbole.config import Config
from recbole.data.dataset import Dataset

from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.plugin.checks import is_ours


def class_of(config: Config) -> type:
    """Class of a configuration's model; RecBole need not find it by its name."""
    model_class: type = config.__dict__.get("model_class") or recbole.utils.get_model(config["model"])
    return model_class


def create_dataset(original: Callable[..., Dataset], config: Config) -> Dataset:
    """Create the data set of a model.

    RecBole looks for a class named ``<Model>Dataset``, also for a model class that the user has derived from ours.
    """
    name = f"{config['model']}Dataset"
    if is_ours(class_of(config)) and not hasattr(recbole.data.dataset, name):
        setattr(recbole.data.dataset, name, MultimodalDataset)
    return original(config)


def get_model(original: Callable[..., type], model_name: str) -> type:
    """Find a model by its name as RecBole does, or among the classes derived from ours."""
    try:
        found: type = original(model_name)
        return found
    except (ValueError, ImportError):  # RecBole looks for unknown names in a package that needs LightGBM, too
        bases: tuple[type, ...] = (MultimodalRecommender, ContentBaseline)
        derived: dict[str, type] = {own.__name__: own for own in chain.from_iterable(map(_derived_from, bases))}
        if model_name not in derived:
            raise
        return derived[model_name]


def _derived_from(base: type[Any]) -> Iterator[type[Any]]:
    for derived in base.__subclasses__():
        yield derived
        yield from _derived_from(derived)
