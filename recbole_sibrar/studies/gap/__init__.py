"""The modality gap of trained models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recbole_sibrar.studies.gap.measures import measure_gap
    from recbole_sibrar.studies.gap.study import measure_checkpoint

__all__ = ["measure_checkpoint", "measure_gap"]

_MODULES = {
    "measure_gap": "measures",
    "measure_checkpoint": "study",
}
"""Public name -> its module, imported at the first use to keep the start of commands short."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
