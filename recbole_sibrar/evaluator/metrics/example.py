"""Three users and five items: the evaluation in the examples of the metrics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from scipy.sparse import csr_matrix

from recbole_sibrar.data.features import FieldValues
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.names import Side

CONFIG: dict[str, Any] = {
    "topk": [2],
    "metric_decimal_place": 4,
    "ild_modality": "genre",
    "calibration_field": "genre",
    "calibration_alpha": 0.01,
}
"""Configuration of the examples."""


class _ExampleKnowledge(TrainingKnowledge):
    def field(self, side: Side, name: str, types: tuple[str, ...], key: str) -> FieldValues:
        """Genre of each item, instead of a field of a file."""
        action = np.array([0, 1, 0, 1, 0, 1])
        drama = np.array([0, 0, 1, 0, 1, 0])
        matrix = np.column_stack([action, drama]).astype(float)
        return FieldValues(
            name, "token", csr_matrix(matrix), action + drama > 0, ("action", "drama")
        )


def example_lists() -> RecommendationLists:
    """Recommend two items to each of three users.

    Items 1 and 2 have two training users each and are the head. Items 3 and 4 have one, item 5 has
    none: they are the long tail. Items 1, 3 and 5 are of the genre action, items 2 and 4 are
    dramas.

    Example:
        >>> lists = example_lists()
        >>> lists.knowledge.popularity.tolist()
        [nan, 2.0, 2.0, 1.0, 1.0, 0.0]
        >>> lists.items.tolist()
        [[3, 4], [2, 4], [1, 3]]
        >>> lists.hits.tolist()
        [[True, False], [True, False], [True, False]]
    """
    training = {
        "user_id": torch.tensor([1, 1, 2, 2, 3, 3]),
        "item_id": torch.tensor([1, 2, 1, 3, 2, 4]),
    }
    dataset = SimpleNamespace(
        uid_field="user_id", iid_field="item_id", user_num=4, item_num=6, inter_feat=training
    )

    return RecommendationLists(
        knowledge=_ExampleKnowledge(cast(Any, dataset), tail_ratio=0.5),
        users=np.array([1, 2, 3]),
        items=np.array([[3, 4], [2, 4], [1, 3]]),
        positive_rows=np.array([0, 1, 1, 2]),
        positive_items=np.array([3, 2, 5, 1]),
        candidates=np.arange(6) > 0,
        ranked=np.array([[0.0, 3.0], [1.0, 2.0], [1.0, 2.0]]),
    )
