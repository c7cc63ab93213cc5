"""Interactions and modality tables: reading, splitting, loading."""

from importlib import import_module
from typing import TYPE_CHECKING

from recbole_sibrar.names import ID, INTERACTIONS

if TYPE_CHECKING:
    from recbole_sibrar.data.dataset import MultimodalDataset
    from recbole_sibrar.data.modality import ModalityKind, ModalityTable

__all__ = ["ID", "INTERACTIONS", "ModalityKind", "ModalityTable", "MultimodalDataset"]

_MODULES = {
    "ModalityKind": "modality",
    "ModalityTable": "modality",
    "MultimodalDataset": "dataset",
}
"""Public name -> its module, imported at the first use: the command line starts without torch."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
