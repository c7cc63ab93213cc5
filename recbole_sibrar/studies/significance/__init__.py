"""Tests of significance between models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recbole_sibrar.studies.significance.measures import (
        Comparison,
        compare,
        compare_all,
        user_means,
    )

__all__ = ["Comparison", "compare", "compare_all", "user_means"]

_MODULES = {
    "Comparison": "measures",
    "compare": "measures",
    "compare_all": "measures",
    "user_means": "measures",
}
"""Public name -> its module, imported at the first use to keep the start of commands short."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
