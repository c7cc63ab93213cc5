"""The result of an evaluation taken apart: by groups of users or items, and by user."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.evaluator.collector import DataStruct

from recbole_sibrar.config import POPULARITY
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.features import FieldValues
from recbole_sibrar.data.files import check_writable
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.evaluator.metrics import NEED, ListMetric
from recbole_sibrar.evaluator.user_results import write_users
from recbole_sibrar.names import Side

_PER_USER_ROWS = ("rec.topk", "rec.items", "rec.meanrank")
"""What RecBole's collector gathers with a row for each user."""


@dataclass(frozen=True)
class Group:
    """A group of users or items."""

    label: str
    """``field=value``."""
    side: Side
    """What it is a group of."""
    members: np.ndarray
    """bool ``[n_users]`` or ``[n_items]``."""


def group_field(knowledge: TrainingKnowledge, name: str, side: Side) -> FieldValues:
    """A field of ``eval_groups``.

    Raises:
        DataError: The field does not exist or is not categorical.
    """
    return knowledge.field(side, name, ("token", "token_seq"), "eval_groups")


def groups_of(lists: RecommendationLists, groups: Sequence[tuple[str, Side]]) -> Iterator[Group]:
    """The groups that ``eval_groups`` asks for.

    Args:
        lists: The recommendations.
        groups: Fields with their side; each value of a field is a group.

    Raises:
        DataError: A field does not exist or is not categorical.
    """
    for name, side in groups:
        if (name, side) == (POPULARITY, "item"):
            for label, half in (("head", 0), ("tail", 1)):
                yield Group(f"{name}={label}", side, lists.knowledge.tail == half)
            continue
        field = group_field(lists.knowledge, name, side)
        for column, label in enumerate(field.labels):
            yield Group(f"{name}={label}", side, field.having(column))


def group_results(
    metrics: dict[str, Any], struct: DataStruct, groups: Sequence[tuple[str, Side]]
) -> tuple[OrderedDict[str, tuple[int, dict[str, float]]], list[str]]:
    """Every metric for every group.

    A group of users is evaluated as if there were no others. For a group of items the lists stay what they are, but
    only its items count: as recommendations, as held-out items and as candidates, for the users who have such
    a held-out item.

    Args:
        metrics: Name -> RecBole's metric object.
        struct: What RecBole's collector gathered.
        groups: Fields with their side.

    Returns:
        Label of the group -> number of its users and their results, and the labels of groups without any user.
    """
    lists: RecommendationLists = struct.get(NEED)
    results: OrderedDict[str, tuple[int, dict[str, float]]] = OrderedDict()
    absent = []
    for group in groups_of(lists, groups):
        part = _of_users(struct, group.members[lists.users]) if group.side == "user" else _of_items(struct, group)
        n = len(part.get(NEED).users)
        if not n:
            absent.append(group.label)
            continue
        values: dict[str, float] = {}
        for metric in metrics.values():
            if group.side == "user" or set(metric.metric_need) <= {"rec.topk", NEED}:
                values.update(metric.calculate_metric(part))
        results[group.label] = (n, values)
    return results, absent


def _of_users(struct: DataStruct, chosen: np.ndarray) -> DataStruct:
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


def _values_of_users(metric: Any, struct: DataStruct) -> dict[str, np.ndarray]:
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
