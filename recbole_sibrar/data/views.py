"""Views of a mixed evaluation: cold and warm interactions apart, as in ColdRec's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.data.loading.feature_files import id_field
from recbole_sibrar.data.split import PARTS, check_disjoint
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import COLD, SIDES, VIEWS, WARM, Side
from recbole_sibrar.protocols import DatasetLike

__all__ = ["View", "describe_parts", "views_of"]


@dataclass(frozen=True)
class View:
    """Some users of an evaluated part, and the items ranked for them."""

    name: str
    """``cold`` or ``warm``."""
    users: NDArray[np.bool_]
    """bool ``[n_users]``: evaluated users, if they have a held-out interaction with a candidate."""
    candidates: NDArray[np.bool_]
    """bool ``[n_items]``: ranked items."""


def views_of(
    train: DatasetLike,
    part: DatasetLike,
    group_by: str,
    candidates: Literal["split", "all"],
) -> tuple[View, View]:
    """Divide the evaluation of a part into a view of its cold and one of its warm interactions.

    Args:
        train: Training part of the split.
        part: Validation or test.
        group_by: Cold entities: ``item``, ``user`` or ``both``.
        candidates: ``split``: items of the part's cold interactions, and items of training.
            ``all``: items without and with training interactions; every item in both views if users
            alone are cold.
    """
    known = _known(train)
    is_cold = _cold_rows(known, part, group_by)
    items = _ids(part, "item")
    is_item = np.arange(len(known["item"])) > 0  # 0 is padding

    # candidates: bool [n_items]
    if candidates == "split":
        cold_items = _marked(items[is_cold], len(is_item))
        warm_items = known["item"] | _marked(items[~is_cold], len(is_item))
    elif group_by == "user":
        cold_items = warm_items = is_item
    else:
        cold_items = is_item & ~known["item"]
        warm_items = known["item"]

    # with cold items alone, any user can have both kinds of interactions
    cold_users = warm_users = np.ones_like(known["user"])
    if group_by != "item":
        cold_users = ~known["user"]
        warm_users = known["user"]
    return View(COLD, cold_users, cold_items), View(WARM, warm_users, warm_items)


def describe_parts(parts: Sequence[DatasetLike], group_by: str) -> str:
    """Check the cold and the warm interactions of a mixed split, and describe their numbers.

    Args:
        parts: The data sets of training, validation and test.
        group_by: Cold entities: ``item``, ``user`` or ``both``.

    Raises:
        DataError: A part has no interactions of a kind, or a cold entity is in both held-out parts.
    """
    train, *held_out = parts
    known = _known(train)
    cold = [_cold_rows(known, part, group_by) for part in held_out]

    texts = []
    for name, is_cold in zip(PARTS[1:], cold, strict=True):
        n_cold = int(is_cold.sum())
        counts = (n_cold, len(is_cold) - n_cold)
        for view, count in zip(VIEWS, counts, strict=True):
            if not count:
                raise DataError(f"eval_args: split: the part {name} has no {view} interactions")
        texts.append(f"{name} {counts[0]} {COLD} and {counts[1]} {WARM} interactions")

    for side in SIDES:
        if group_by not in (side, "both"):
            continue
        ids: list[list[int]] = [[]]  # training has no cold entity
        for part, is_cold in zip(held_out, cold, strict=True):
            ids.append(_ids(part, side)[is_cold].tolist())
        check_disjoint(ids, train.field2id_token[id_field(train, side)], side)
    return "; ".join(texts)


def _cold_rows(
    known: dict[Side, NDArray[np.bool_]], part: DatasetLike, group_by: str
) -> NDArray[np.bool_]:
    """Mark the interactions of a part whose item (or user, or both) has no training interaction."""
    is_cold = np.ones(len(_ids(part, "item")), dtype=bool)  # [n_interactions]
    for side in SIDES:
        if group_by in (side, "both"):
            is_cold &= ~known[side][_ids(part, side)]
    return is_cold


def _marked(ids: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """bool ``[size]``: True for the ids."""
    return np.bincount(ids, minlength=size) > 0


def _known(train: DatasetLike) -> dict[Side, NDArray[np.bool_]]:
    """Mark the users and items of training."""
    known: dict[Side, NDArray[np.bool_]] = {}
    for side in SIDES:
        n_entities = train.num(id_field(train, side))
        known[side] = _marked(_ids(train, side), n_entities)
    return known


def _ids(dataset: DatasetLike, side: Side) -> NDArray[np.int64]:
    """Read the internal id of the user or item of each interaction."""
    ids: NDArray[np.int64] = dataset.inter_feat[id_field(dataset, side)].numpy()
    return ids
