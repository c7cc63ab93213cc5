"""Baselines that know the content of users and items, one model a file; most have a closed form."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbole_sibrar.model.baselines.aldi import ALDI
    from recbole_sibrar.model.baselines.attributemap import AttributeMap
    from recbole_sibrar.model.baselines.cease import CEASE
    from recbole_sibrar.model.baselines.contentknn import ContentKNN
    from recbole_sibrar.model.baselines.easecontent import EASEContent
    from recbole_sibrar.model.baselines.genreaffinity import GenreAffinity
    from recbole_sibrar.model.baselines.heater import Heater
    from recbole_sibrar.model.baselines.twotower import TwoTower
    from recbole_sibrar.model.baselines.vbpr import VBPR

__all__ = [
    "ALDI",
    "CEASE",
    "VBPR",
    "AttributeMap",
    "ContentKNN",
    "EASEContent",
    "GenreAffinity",
    "Heater",
    "TwoTower",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{name.lower()}"), name)
    return value
