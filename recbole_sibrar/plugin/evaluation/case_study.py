"""RecBole's ``full_sort_scores`` and ``full_sort_topk`` for every user.

The evaluated part of the split need not have interactions of the user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import getLogger
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from torch import Tensor

from recbole_sibrar.config import refuse

UserIds = int | Sequence[int] | NDArray[Any] | Tensor

_SHOWN = 5
"""Number of users that a message names."""


def full_sort_scores(
    original: Callable[..., Tensor],
    uid_series: UserIds,
    model: AbstractRecommender,
    test_data: AbstractDataLoader,
    device: torch.device | None = None,
) -> Tensor:
    """Score all items for users, with -inf for items outside a user's ranking.

    These are the padding item, the history (interactions of earlier parts), and items outside the
    candidates.

    Args:
        original: RecBole's function.
        uid_series: Internal ids of users: a list, an array, a tensor, or a single id.
        model: RecBole's model.
        test_data: A loader of full sort evaluation.
        device: Where the model is.

    Returns:
        float ``[n_users, n_items]``.

    Raises:
        ConfigError: An id is none of a user, or the loader evaluates in another way.
    """
    _check_loader(test_data)
    dataset = test_data._dataset
    users = read_users(uid_series, dataset.user_num)

    if test_data.is_sequential:
        _note_without_sequence(users, dataset)
        scores = original(users, model, test_data, device)
    else:
        # RecBole reads these three attributes of the loader, whose own history has gaps
        history = _with_history(test_data, users)
        view = SimpleNamespace(dataset=dataset, is_sequential=False, uid2history_item=history)
        scores = original(users, model, view, device)

    candidates = getattr(test_data, "candidates", None)
    if candidates is not None:
        scores[:, ~candidates] = -torch.inf
    return scores


def full_sort_topk(
    original: Callable[..., Any],
    uid_series: UserIds,
    model: AbstractRecommender,
    test_data: AbstractDataLoader,
    k: int,
    device: torch.device | None = None,
) -> Any:
    """Find the best items of users; an empty place holds item 0.

    Args:
        original: RecBole's function.
        uid_series: See :func:`full_sort_scores`.
        model: RecBole's model.
        test_data: A loader of full sort evaluation.
        k: Length of the lists.
        device: Where the model is.

    Returns:
        Scores, float ``[n_users, k]``, -inf for an empty place, and internal ids of items, int64
        ``[n_users, k]``, 0 (RecBole's padding item) for an empty place.

    Raises:
        ConfigError: There are fewer than k items, or see :func:`full_sort_scores`.
    """
    _check_loader(test_data)
    n_items = test_data._dataset.item_num - 1
    is_number = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
    if not is_number or not 1 <= k <= n_items:
        refuse("k", k, f"a whole number from 1 to {n_items}, the number of items")

    top = original(uid_series, model, test_data, int(k), device)
    # torch fills the list with any items of the score -inf
    top.indices[top.values == -torch.inf] = 0
    return top


def read_users(uid_series: UserIds, n_users: int) -> NDArray[np.int64]:
    """Return internal ids of users as an array.

    Args:
        uid_series: A list, an array, a tensor, or a single id.
        n_users: Number of users, RecBole's padding user included.

    Returns:
        int64 ``[n]``.

    Raises:
        ConfigError: There is none, or one is not the internal id of a user.

    Example:
        >>> read_users(3, n_users=5), read_users([4, 1, 4], n_users=5)
        (array([3]), array([4, 1, 4]))
    """
    found = uid_series
    if isinstance(found, Tensor):
        found = found.detach().cpu()
    users = np.atleast_1d(np.asarray(found))
    allowed = f"the internal id of a user, from 1 to {n_users - 1}"
    if users.ndim != 1 or not len(users):
        refuse("uid_series", uid_series, f"{allowed}, or a list of such ids")
    if users.dtype.kind not in "iu":
        advice = "dataset.token2id(dataset.uid_field, names) gives them"
        refuse("uid_series", users[0], f"{allowed}; {advice}")

    unknown = users[(users < 1) | (users >= n_users)]
    if len(unknown):
        refuse("uid_series", int(unknown[0]), allowed)
    ids: NDArray[np.int64] = users.astype(np.int64)
    return ids


def _check_loader(test_data: AbstractDataLoader | None) -> None:
    if test_data is None:
        refuse("test_data", test_data, "the loader of a part of the split that is not empty")
    if not test_data.is_sequential and not hasattr(test_data, "uid2history_item"):
        allowed = "a loader of full sort evaluation, as eval_args: mode: full makes it"
        refuse("test_data", type(test_data).__name__, allowed)


def _with_history(loader: AbstractDataLoader, users: NDArray[np.int64]) -> NDArray[np.object_]:
    """Complete the loader's history for users without an interaction in the evaluated part.

    RecBole's loader masks the interactions of the parts up to the evaluated one, without the
    held-out pairs.

    Returns:
        object ``[n_users]``: for each of the users int64 ``[n]``, the items.
    """
    history: NDArray[np.object_] = loader.uid2history_item.copy()
    for user in np.unique(users):
        if history[user] is None:
            items = sorted(loader._sampler.used_ids[user])
            history[user] = torch.tensor(items, dtype=torch.int64)
    return history


def _note_without_sequence(users: NDArray[np.int64], dataset: Dataset) -> None:
    """Name the users for whom RecBole returns no row.

    Raises:
        ConfigError: No user has a sequence.
    """
    # RecBole asks a sequential model about the sequences of the part, which are its rows
    with_sequence = dataset.inter_feat[dataset.uid_field].numpy()
    without = np.unique(users[~np.isin(users, with_sequence)])
    if not len(without):
        return

    shown = ", ".join(map(str, without[:_SHOWN]))
    if len(without) > _SHOWN:
        shown += ", ..."
    if len(without) == len(np.unique(users)):
        allowed = "a user with a sequence in this part, which a sequential model continues"
        refuse("uid_series", shown, allowed)
    getLogger().warning(
        f"uid_series: {len(without)} users have no sequence in this part and get no row: {shown}"
    )
