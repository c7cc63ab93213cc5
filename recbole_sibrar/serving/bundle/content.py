"""Content of a portable model in memory: what is written, and what is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.serving.bundle.manifest import Manifest
from recbole_sibrar.serving.index import ItemIndex

__all__ = [
    "EMBEDDINGS",
    "INDEX",
    "TABLES",
    "VOCABULARIES",
    "WEIGHTS",
    "Content",
    "Histories",
    "SideContent",
]

WEIGHTS = "weights.safetensors"
EMBEDDINGS = "embeddings.safetensors"
VOCABULARIES = "vocabularies.parquet"
INDEX = "index.faiss"
TABLES: dict[Side, str] = {"user": "users.parquet", "item": "items.parquet"}


@dataclass(frozen=True)
class Histories:
    """Training items of each user."""

    items: NDArray[np.int32]
    """Numbers of the items, one history after the other."""
    offsets: NDArray[np.int64]
    """``[n_users + 1]``: start of each history, and end of the last."""

    def of(self, user: int) -> NDArray[np.int32]:
        """Items of one user; none of a user without training."""
        # Users added since training have no place among the offsets.
        if user + 1 >= len(self.offsets):
            return self.items[:0]
        return self.items[self.offsets[user] : self.offsets[user + 1]]


@dataclass(frozen=True)
class SideContent:
    """Users or items."""

    tokens: pa.Array
    """Their ids, in the order of their numbers from 0."""
    popularity: NDArray[np.int64]
    """Number of training interactions of each."""
    display: pa.Table
    """Columns for display and filters."""
    embeddings: Tensor
    """float ``[n, k]``."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Modality -> embeddings of that modality alone, float ``[n, k]``; none if not stored."""
    available: Tensor | None = None
    """bool ``[n, n_modalities]``: modalities of each embedding; None without ``parts``."""
    vocabularies: Mapping[str, tuple[pa.Array, NDArray[np.int64]]] = field(default_factory=dict)
    """Field -> its labels with a training entity, and the number of each."""
    order: NDArray[np.int32] | None = None
    """Alphabetical order of the tokens; None if it was not computed."""


@dataclass(frozen=True)
class Content:
    """A portable model."""

    manifest: Manifest
    """Description of it."""
    users: SideContent
    """The users."""
    items: SideContent
    """The items."""
    histories: Histories
    """Training items of the users."""
    weights: Mapping[str, Tensor]
    """Parameters and buffers: ``user_encoder.*``, ``item_encoder.*``, and the stand-ins."""
    index: ItemIndex | None = None
    """Approximate index of the items; None for exact search."""

    def side(self, side: Side) -> SideContent:
        """Content of one side."""
        return self.users if side == "user" else self.items

    def embedding_tensors(self) -> dict[str, Tensor]:
        """Tensors of the file with the embeddings."""
        tensors: dict[str, Tensor] = {}
        for side in SIDES:
            held = self.side(side)
            tensors[side] = held.embeddings
            tensors |= {f"{side}.{name}": values for name, values in held.parts.items()}
            if held.available is not None:
                tensors[f"{side}_available"] = held.available
        return tensors
