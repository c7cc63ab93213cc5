"""Look-up of models by name, and of their data sets by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import recbole.data.dataset
import recbole.utils
from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.errors import ConfigError
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.plugin.checks import is_ours

_REGISTERED: dict[str, type[AbstractRecommender]] = {}
"""Models of a user's own, by name."""


def class_of(config: Config) -> type:
    """Class of a configuration's model; RecBole need not find it by its name."""
    # a checkpoint holds no class of a user's own
    model_class: type | None = config.__dict__.get("model_class")
    return model_class or recbole.utils.get_model(config["model"])


def create_dataset(original: Callable[..., Dataset], config: Config) -> Dataset:
    """Create the data set of a model.

    RecBole looks for a class named ``<Model>Dataset``, also for a model class that the user has
    derived from ours.
    """
    name = f"{config['model']}Dataset"
    if is_ours(class_of(config)) and not hasattr(recbole.data.dataset, name):
        setattr(recbole.data.dataset, name, MultimodalDataset)
    return original(config)


def get_model(original: Callable[..., type], model_name: str) -> type:
    """Find a model by its name: registered, as RecBole does, or a class derived from ours."""
    if model_name in _REGISTERED:
        return _REGISTERED[model_name]

    try:
        found: type = original(model_name)
        return found
    # ImportError: RecBole looks for unknown names in a package that needs LightGBM, too
    except (ValueError, ImportError):
        derived: dict[str, type] = {}
        for base in (MultimodalRecommender, ContentBaseline):
            for own in _derived_from(base):
                derived[own.__name__] = own
        if model_name not in derived:
            raise
        return derived[model_name]


def register_model(model: type[AbstractRecommender]) -> None:
    """Let RecBole find a model of a user's own by its name.

    Args:
        model: Class derived from a model of RecBole or of this plugin.

    Raises:
        ConfigError: Its name belongs to another model.
    """
    name = model.__name__
    try:
        known = recbole.utils.get_model(name)
    except AttributeError as error:
        # RecBole looks for a module in small letters, and then for the class in it
        raise ConfigError(
            f"register: found the model {name}, allowed is another name: {error}"
        ) from None
    except (ValueError, ImportError):
        known = None

    check_name(model, known, "model")
    _REGISTERED[name] = model


def check_name(own: type, known: type | None, kind: str) -> None:
    """Refuse the name of another class.

    Args:
        own: Class to be registered.
        known: Class that has the name already; None for a free name.
        kind: Kind of the classes, for the message.

    Raises:
        ConfigError: The name belongs to another class.
    """
    if known is None or known is own:
        return

    # a class that was defined again, as in a notebook, replaces its earlier self
    if (known.__module__, known.__qualname__) != (own.__module__, own.__qualname__):
        raise ConfigError(
            f"register: found the {kind} {own.__name__}, allowed is another name: "
            f"{known.__module__}.{known.__qualname__} has this one"
        )


def _derived_from(base: type[Any]) -> Iterator[type[Any]]:
    for derived in base.__subclasses__():
        yield derived
        yield from _derived_from(derived)
