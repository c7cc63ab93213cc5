"""Trained models with missing modalities."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recbole_sibrar.studies.missing.measures import Study
    from recbole_sibrar.studies.missing.options import Plan

__all__ = ["Plan", "Study"]

_MODULES = {
    "Plan": "options",
    "Study": "measures",
}
"""Public name -> its module, imported at the first use to keep the start of commands short."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
