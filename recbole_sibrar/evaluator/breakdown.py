"""Results of groups of users or items, and of single users."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct

from recbole_sibrar.errors import DataError
from recbole_sibrar.evaluator.groups import Group, place_shares
from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics import NEED, ListMetric
from recbole_sibrar.evaluator.user_results import write_users
from recbole_sibrar.files import check_writable

__all__ = ["group_results", "per_user_results", "save_per_user", "table"]

_PER_USER_ROWS = ("rec.topk", "rec.items", "rec.meanrank")
"""Data of RecBole's collector with a row for each user."""


def group_results(
    metrics: Mapping[str, AbstractMetric],
    struct: DataStruct,
    groups: Sequence[Group],
    topk: Sequence[int],
    decimal_place: int,
) -> tuple[OrderedDict[str, tuple[int, dict[str, float]]], list[str]]:
    """Compute every metric for every group.

    A group of users is evaluated as if there were no other users. For a group of items the lists
    stay the same, but only its items count as recommendations, held-out items and candidates. Users
    without a held-out item of the group are left out. The share of places is measured in the lists
    of all users.

    Args:
        metrics: Name -> RecBole's metric object.
        struct: Data of RecBole's collector.
        groups: The groups.
        topk: The cut-offs.
        decimal_place: Digits after the point.

    Returns:
        Label of the group -> number of its users and their results, and the labels of groups
        without any user.
    """
    lists: RecommendationLists = struct.get(NEED)
    results: OrderedDict[str, tuple[int, dict[str, float]]] = OrderedDict()
    absent: list[str] = []
    for group in groups:
        part = _of_group(struct, group)

        # RecBole's metrics are means over the users: without any there is nothing to measure.
        n_users = len(part.get(NEED).users)
        values = _measure_group(metrics, part, group) if n_users else {}
        if not n_users:
            absent.append(group.label)

        # A group without any held-out item can be recommended all the same.
        if group.counts_places:
            values.update(place_shares(lists, group, topk, decimal_place))
        if values:
            results[group.label] = (n_users, values)
    return results, absent


def _measure_group(
    metrics: Mapping[str, AbstractMetric], part: DataStruct, group: Group
) -> dict[str, float]:
    """Compute the metrics of one group; of a group of items only metrics of lists and of hits."""
    values: dict[str, float] = {}
    for metric in metrics.values():
        # The other data of the collector is of all items, and _of_items leaves it out.
        if group.side == "user" or set(metric.metric_need) <= {"rec.topk", NEED}:
            values.update(metric.calculate_metric(part))
    return values


def _of_group(struct: DataStruct, group: Group) -> DataStruct:
    """Keep the data of a group."""
    if group.side == "user":
        lists: RecommendationLists = struct.get(NEED)
        return _of_users(struct, group.members[lists.users])
    return _of_items(struct, group)


def _of_users(struct: DataStruct, chosen: NDArray[Any]) -> DataStruct:
    part = DataStruct()
    rows = torch.from_numpy(chosen)

    # DataStruct offers no public way to list its keys.
    for key, value in struct._data_dict.items():
        part.set(key, value[rows] if key in _PER_USER_ROWS else value)
    part.set(NEED, struct.get(NEED).of_users(chosen))
    return part


def _of_items(struct: DataStruct, group: Group) -> DataStruct:
    lists = struct.get(NEED).of_items(group.members)
    lists = lists.of_users(lists.n_positives > 0)

    # RecBole's form: hits of each user, then the number of held-out items.
    hits = np.zeros((0, 1))
    if len(lists.users):
        hits = np.column_stack([lists.hits, lists.n_positives])

    part = DataStruct()
    part.set("rec.topk", torch.from_numpy(hits.astype(np.int32)))
    part.set(NEED, lists)
    return part


def per_user_results(metrics: Mapping[str, AbstractMetric], struct: DataStruct) -> pd.DataFrame:
    """Make a row for each evaluated user.

    Args:
        metrics: Name -> RecBole's metric object.
        struct: Data of RecBole's collector.

    Returns:
        Columns ``user_id`` (the data set's name of it, with original ids), one for each k of each
        metric with a value for each user (not rounded, NaN if undefined), and ``items``, the list
        of original ids, best first.
    """
    lists: RecommendationLists = struct.get(NEED)
    dataset = lists.knowledge.dataset
    user_tokens = dataset.field2id_token[dataset.uid_field]
    columns: dict[str, Any] = {dataset.uid_field: user_tokens[lists.users]}

    # Metrics of all lists together, such as Coverage, have no value for a single user.
    for name, metric in metrics.items():
        if isinstance(metric, ListMetric):
            if hasattr(metric, "measure_users"):
                for k in metric.topk:
                    columns[f"{name}@{k}"] = metric.measure_users(lists, k)
        elif hasattr(metric, "topk_result"):
            columns.update(_values_of_users(metric, struct))

    # Lists of a user with few candidates are shorter: 0 is an empty place.
    tokens = dataset.field2id_token[dataset.iid_field]
    columns["items"] = [list(tokens[row[row > 0]]) for row in lists.items]
    return pd.DataFrame(columns)


def _values_of_users(metric: AbstractMetric, struct: DataStruct) -> dict[str, NDArray[Any]]:
    """Values of each user, from a metric of RecBole that reports their mean."""

    def take_columns(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {f"{name}@{k}": values[:, k - 1].astype(float) for k in metric.topk}

    # RecBole's metrics compute [n_users, k] and hand it to topk_result, which takes the mean. The
    # copy keeps the change from the metric itself.
    recording = copy.copy(metric)
    recording.topk_result = take_columns
    values: dict[str, NDArray[Any]] = recording.calculate_metric(struct)
    return values


def save_per_user(frame: pd.DataFrame, path: Path) -> None:
    """Write the results of each user; the suffix of the file names its format.

    Args:
        frame: Result of :func:`per_user_results`.
        path: The file; its folder is made if it does not exist.

    Raises:
        DataError: The file cannot be written.
    """
    check_writable(path, "save_per_user")
    try:
        write_users(frame, path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"save_per_user: cannot write {path}: {reason}") from None

    getLogger().info(f"wrote the results of {len(frame)} users to {path}")


def table(
    overall: dict[str, float], results: dict[str, tuple[int, dict[str, float]]], n_users: int
) -> str:
    """Write the results of all users and of each group as text, a row each."""
    rows = {"all": {"users": n_users, **overall}}
    for label, (n, values) in results.items():
        rows[label] = {"users": n, **values}

    # Groups of items lack some metrics: their cells are a dash.
    return pd.DataFrame.from_dict(rows, orient="index").to_string(na_rep="-")
