"""Tiny data made at random: examples build and train a model without files."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.utils import get_model
from scipy.sparse import csr_matrix

from recbole_sibrar.data.modality import (
    ModalityKind,
    ModalityTable,
    bag_table,
    dense_table,
    id_table,
)
from recbole_sibrar.names import Side

_SMALL = {
    "embedding_size": 8,
    "modality_size": 8,
    "branch_hidden_sizes": [8],
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 2},
    "use_gpu": False,
}


class ExampleData:
    """Training data of six users and eight items with vectors; the last item has no interactions.

    It offers what our models read of a :class:`~recbole_sibrar.data.dataset.MultimodalDataset`. Row
    0 of each side is RecBole's padding.

    Example:
        >>> from recbole_sibrar.model import SiBraR
        >>> data = ExampleData()
        >>> model = SiBraR(data.config("SiBraR", embedding_size=4), data)
        >>> model.encode_items().shape
        torch.Size([9, 4])
    """

    uid_field, iid_field = "user_id", "item_id"
    n_users, n_items = 7, 9
    n_negative_candidates = 7

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.matrix = random.random((self.n_users, self.n_items)) < 0.5
        self.matrix[:, 1] = True  # every user has an item
        self.matrix[1, :] = True  # every item has a user
        self.matrix[:, [0, 8]] = False
        self.matrix[0] = False

        self.vectors = random.normal(size=(self.n_items, 3)).astype(np.float32)
        user_tokens = [f"u{n}" for n in range(self.n_users)]
        item_tokens = [f"i{n}" for n in range(self.n_items)]
        self.field2id_token = {"user_id": np.array(user_tokens), "item_id": np.array(item_tokens)}

    def num(self, field: str) -> int:
        """Count the users or items, padding included."""
        return len(self.field2id_token[field])

    def describe_source(self, side: Side) -> str:
        """Describe the origin of the fields, for messages."""
        return f"example data of {side}s"

    def modality_tables(self, side: Side) -> dict[str, ModalityTable]:
        """Make the modalities of a side: interactions and id, and vectors of the items."""
        matrix = self.matrix if side == "user" else self.matrix.T
        tables = {
            "interactions": bag_table(
                "interactions", ModalityKind.INTERACTIONS, csr_matrix(matrix)
            ),
            "id": id_table(torch.from_numpy(matrix.any(1))),
        }
        if side == "item":
            vectors = torch.from_numpy(self.vectors)
            available = torch.arange(self.n_items) > 0
            tables["text"] = dense_table("text", ModalityKind.VECTOR, vectors, available, 3)
        return tables

    def config(self, model: str, **keys: Any) -> Config:
        """Configure a model with small layers.

        Args:
            model: Name of the model.
            keys: Further keys of the configuration.
        """
        # A key that the model fixes cannot be set to another value.
        fixed = getattr(get_model(model), "fixed", ())
        small = {key: value for key, value in _SMALL.items() if key not in fixed}
        return Config(model, "example", config_dict={**small, **keys})

    def batch(self) -> Interaction:
        """Make a batch of three positives with two negatives each, in RecBole's layout."""
        return Interaction(
            {
                "user_id": torch.tensor([1, 2, 3, 1, 2, 3]),
                "item_id": torch.tensor([1, 1, 1, 1, 1, 1]),
                "neg_item_id": torch.tensor([2, 3, 4, 5, 6, 7]),
            }
        )
