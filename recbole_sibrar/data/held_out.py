"""New users and items in an evaluation, and the pool of the negatives of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from recbole_sibrar.names import Side
from recbole_sibrar.protocols import DatasetLike

Pool = Literal["train", "all"]
"""Pool of the negatives of training: items with a training interaction, or all items."""


class Evaluated(NamedTuple):
    """Numbers of entities of one side in validation and test."""

    n: int
    """Number of entities."""
    n_new: int
    """Number of entities without a training interaction."""

    @property
    def all_new(self) -> bool:
        """True if there are entities and all are new to training, as in a cold-start split."""
        return 0 < self.n == self.n_new


def evaluated_entities(parts: Sequence[DatasetLike]) -> dict[Side, Evaluated]:
    """Count the entities of an evaluation, and the new ones among them.

    Args:
        parts: The built data sets of a split, training first.
    """
    fields: dict[Side, str] = {"user": parts[0].uid_field, "item": parts[0].iid_field}
    found: dict[Side, Evaluated] = {}

    for side, field in fields.items():
        trained, *held_out = (part.inter_feat[field].numpy() for part in parts)
        # an empty array more, for a split without held-out parts
        entities = np.unique(np.concatenate([*held_out, trained[:0]]))
        new = np.setdiff1d(entities, trained)
        found[side] = Evaluated(len(entities), len(new))
    return found


def negative_pool(
    choice: Pool | None,
    is_cold_start: bool,
    from_files: bool,
    is_ours: bool,
    evaluated: dict[Side, Evaluated],
) -> Pool:
    """Choose the pool of the negatives of training.

    Args:
        choice: The key ``train_neg_candidates``.
        is_cold_start: Whether the split is a cold-start split.
        from_files: Whether the parts are files (``benchmark_filename``).
        is_ours: Whether the model is one of this package; RecBole's models keep RecBole's pool.
        evaluated: Numbers of evaluated entities.

    Example:
        >>> negative_pool(None, False, True, True, {"item": Evaluated(10, 3)})
        'train'
        >>> negative_pool(None, False, True, False, {"item": Evaluated(10, 3)})
        'all'
    """
    if choice is not None:
        return choice
    # from a held-out item among the negatives, a model would learn that nobody likes the item
    held_out = any(side.n_new for side in evaluated.values())
    leaves_out = is_cold_start or (from_files and is_ours and held_out)
    return "train" if leaves_out else "all"
