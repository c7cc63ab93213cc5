"""Models, one file each, named as on the command line."""

from importlib import import_module
from typing import TYPE_CHECKING

from recbole_sibrar.model import baselines
from recbole_sibrar.names import MODELS

if TYPE_CHECKING:
    from recbole_sibrar.model.clcrec import CLCRec
    from recbole_sibrar.model.dropoutnet import DropoutNet
    from recbole_sibrar.model.encoder import EntityEncoder
    from recbole_sibrar.model.mubrar import MuBraR
    from recbole_sibrar.model.multimodal import MultimodalRecommender
    from recbole_sibrar.model.sibrar import SiBraR

__all__ = [
    "MODELS",
    "CLCRec",
    "DropoutNet",
    "EntityEncoder",
    "MuBraR",
    "MultimodalRecommender",
    "SiBraR",
]

_MODULES = {
    "CLCRec": "clcrec",
    "DropoutNet": "dropoutnet",
    "EntityEncoder": "encoder",
    "MuBraR": "mubrar",
    "MultimodalRecommender": "multimodal",
    "SiBraR": "sibrar",
}
"""Public name -> its module, imported on first use: commands start without torch."""


def __getattr__(name: str) -> object:
    if name in baselines.__all__:
        return getattr(baselines, name)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
