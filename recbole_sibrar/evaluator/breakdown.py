"""The result of an evaluation taken apart: by groups of users or items, and by user."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from recbole.evaluator.collector import DataStruct

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.evaluator.groups import Group, place_shares
from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics import NEED, ListMetric
from recbole_sibrar.evaluator.user_results import write_users
from recbole_sibrar.files import check_writable

_PER_USER_ROWS = ("rec.topk", "rec.items", "rec.meanrank")
"""What RecBole's collector gathers with a row for each user."""


def group_results(
    metrics: dict[str, Any], struct: DataStruct, groups: Sequence[Group], topk: Sequence[int], decimal_place: int
) -> tuple[OrderedDict[str, tuple[int, dict[str, float]]], list[str]]:
    """Every metric for every group.

    A group of users is evaluated as if there were no others. For a group of items the lists stay what they are, but
    only its items count: as recommendations, as held-out items and as candidates, for the users who have such
    a held-out item. The share of places that some groups have too is that in the lists of all
    users.

    Args:
        metrics: Name -> RecBole's metric object.
        struct: What RecBole's collector gathered.
        groups: The groups.
        topk: The cut-offs.
        decimal_place: Digits after the point.

    Returns:
        Label of the group -> number of its users and their results, and the labels of groups without any user.
    """
    lists: RecommendationLists = struct.get(NEED)
    results: OrderedDict[str, tuple[int, dict[str, float]]] = OrderedDict()
    absent = []
    for group in groups:
        part = _of_users(struct, group.members[lists.users]) if group.side == "user" else _of_items(struct, group)
        n = len(part.get(NEED).users)
        values: dict[str, float] = {}
        if n:
            for metric in metrics.values():
                if group.side == "user" or set(metric.metric_need) <= {"rec.topk", NEED}:
                    values.update(metric.calculate_metric(part))
        else:
            absent.append(group.label)
        if group.counts_places:
            values.update(place_shares(lists, group, topk, decimal_place))
        if values:
            results[group.label] = (n, values)
    return results, absent


def _of_users(struct: DataStruct, chosen: NDArray[Any]) -> DataStruct:
    part = DataStruct()
    rows = torch.from_numpy(chosen)
    for key, value in struct._data_dict.items():
        part.set(key, value[rows] if key in _PER_USER_ROWS else value)
    part.set(NEED, struct.get(NEED).of_users(chosen))
    return part


def _of_items(struct: DataStruct, group: Group) -> DataStruct:
    lists = struct.get(NEED).of_items(group.members)
    lists = lists.of_users(lists.n_positives > 0)
    part = DataStruct()
    hits = np.column_stack([lists.hits, lists.n_positives]) if len(lists.users) else np.zeros((0, 1))
    part.set("rec.topk", torch.from_numpy(hits.astype(np.int32)))
    part.set(NEED, lists)
    return part


def per_user_results(metrics: dict[str, Any], struct: DataStruct) -> pd.DataFrame:
    """A row for each evaluated user: original id, every metric that is a mean over users, and the recommended items.

    Args:
        metrics: Name -> RecBole's metric object.
        struct: What RecBole's collector gathered.

    Returns:
        Columns ``user_id`` (the data set's name of it), one for each metric and k (not rounded, NaN where undefined),
        and ``items``, the list of original ids, best first.
    """
    lists: RecommendationLists = struct.get(NEED)
    dataset = lists.knowledge.dataset
    columns: dict[str, Any] = {dataset.uid_field: dataset.field2id_token[dataset.uid_field][lists.users]}
    for name, metric in metrics.items():
        if isinstance(metric, ListMetric):
            if hasattr(metric, "measure_users"):
                columns.update({f"{name}@{k}": metric.measure_users(lists, k) for k in metric.topk})
        elif hasattr(metric, "topk_result"):
            columns.update(_values_of_users(metric, struct))
    tokens = dataset.field2id_token[dataset.iid_field]
    columns["items"] = [list(tokens[row[row > 0]]) for row in lists.items]
    return pd.DataFrame(columns)


def _values_of_users(metric: Any, struct: DataStruct) -> dict[str, NDArray[Any]]:
    """The values of which a metric of RecBole's reports the mean."""
    recording = copy.copy(metric)
    recording.topk_result = lambda name, values: {f"{name}@{k}": values[:, k - 1].astype(float) for k in metric.topk}
    return recording.calculate_metric(struct)


def save_per_user(frame: pd.DataFrame, path: Path) -> None:
    """Write the results of each user to a file of the format that its suffix names, to a temporary name first.

    Args:
        frame: What :func:`per_user_results` returns.
        path: The file; its folder is made if it does not exist.

    Raises:
        DataError: The file cannot be written.
    """
    check_writable(path, "save_per_user")
    try:
        write_users(frame, path)
    except OSError as error:
        raise DataError(f"save_per_user: cannot write {path}: {error.strerror or error}") from None
    getLogger().info(f"wrote the results of {len(frame)} users to {path}")


def table(overall: dict[str, float], results: dict[str, tuple[int, dict[str, float]]], n_users: int) -> str:
    """The results of all users and of each group as text, a row each."""
    rows = {"all": {"users": n_users, **overall}, **{x: {"users": n, **values} for x, (n, values) in results.items()}}
    return pd.DataFrame.from_dict(rows, orient="index").to_string(na_rep="-")
