"""Export of a trained model as a portable one, for use without RecBole and the data set."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbole_sibrar.quick_start.export.checkpoint import export

__all__ = ["export"]


def __getattr__(name: str) -> object:
    if name != "export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imports torch and RecBole.
    value: object = getattr(import_module(f"{__name__}.checkpoint"), name)
    return value
