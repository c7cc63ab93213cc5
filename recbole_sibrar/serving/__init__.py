"""Use of a trained model without its data set and without RecBole.

It recommends items to new and known users. A portable model is a folder made by ``recbole-sibrar
export``. Loading one runs no code of the folder.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from recbole_sibrar.errors import PortableModelError, UnknownEntityError

if TYPE_CHECKING:
    from recbole_sibrar.serving.recommender import Recommender

__all__ = ["PortableModelError", "Recommender", "UnknownEntityError"]


def __getattr__(name: str) -> object:
    if name != "Recommender":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = import_module(f"{__name__}.recommender").Recommender  # imports torch
    return value
