"""Users and items of an evaluation that training does not know, and the items that its negatives are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from recbole_sibrar.names import Side

Pool = Literal["train", "all"]
"""Items that the negatives of training are drawn from: those with a training interaction, or all."""


class Evaluated(NamedTuple):
    """The entities of one side that validation and test have interactions of."""

    n: int
    """How many there are."""
    n_new: int
    """How many of them have no training interaction."""

    @property
    def all_new(self) -> bool:
        """Whether there are some and training knows none of them, as in a cold-start split."""
        return 0 < self.n == self.n_new


def evaluated_entities(parts: Sequence[Any]) -> dict[Side, Evaluated]:
    """Count the entities of an evaluation, and those that training does not know.

    Args:
        parts: The built data sets of a split, training first.
    """
    fields: dict[Side, str] = {"user": parts[0].uid_field, "item": parts[0].iid_field}
    found: dict[Side, Evaluated] = {}
    for side, field in fields.items():
        trained, *held_out = (part.inter_feat[field].numpy() for part in parts)
        entities = np.unique(np.concatenate([*held_out, trained[:0]]))
        found[side] = Evaluated(len(entities), len(np.setdiff1d(entities, trained)))
    return found


def negative_pool(
    choice: Pool | None, is_cold_start: bool, from_files: bool, is_ours: bool, evaluated: dict[Side, Evaluated]
) -> Pool:
    """The items that the negatives of training are drawn from.

    A held-out item that training draws as a negative is learned as an item that nobody likes.

    Args:
        choice: The key ``train_neg_candidates``.
        is_cold_start: Whether the split is a cold-start split.
        from_files: Whether the parts are files (``benchmark_filename``).
        is_ours: Whether the model is one of this package; those of RecBole do what they do without it.
        evaluated: What is evaluated.

    Example:
        >>> negative_pool(None, False, True, True, {"item": Evaluated(10, 3)})
        'train'
        >>> negative_pool(None, False, True, False, {"item": Evaluated(10, 3)})
        'all'
    """
    if choice is not None:
        return choice
    held_out = any(side.n_new for side in evaluated.values())
    return "train" if is_cold_start or (from_files and is_ours and held_out) else "all"
