"""Interactions and modality tables: reading, splitting, loading."""

from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.modality import ID, INTERACTIONS, ModalityKind, ModalityTable

__all__ = ["ID", "INTERACTIONS", "ModalityKind", "ModalityTable", "MultimodalDataset"]
