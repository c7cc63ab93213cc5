"""Results of the views of a mixed evaluation, beside those of all interactions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from logging import getLogger

import pandas as pd
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct
from recbole.trainer import Trainer

from recbole_sibrar.evaluator.breakdown import per_user_results, table
from recbole_sibrar.evaluator.metrics import NEED
from recbole_sibrar.names import is_of_group, metric_in_view, without_view
from recbole_sibrar.parallel import processes

__all__ = ["add_results", "add_user_results", "log_results"]


def add_results(
    trainer: Trainer,
    structs: Mapping[str, DataStruct],
    result: dict[str, float],
) -> dict[str, float]:
    """Add the metrics of all views to the result of an evaluation; every process gets them.

    Args:
        trainer: RecBole's trainer.
        structs: Name of each view -> its collected data.
        result: Metrics of all interactions; changed in place.
    """
    found: dict[str, float] = OrderedDict()
    for name, struct in structs.items():
        values = trainer.evaluator.evaluate(struct)
        for metric, value in values.items():
            found[metric_in_view(metric, name)] = value

    # a process other than the first has no values of its own
    result.update(processes.broadcast(trainer.config, found))
    if processes.is_main(trainer.config):
        trainer.wandblogger.log_eval_metrics(found, head="eval")
    return result


def log_results(
    structs: Mapping[str, DataStruct],
    struct: DataStruct,
    result: Mapping[str, float],
) -> None:
    """Log the results of a test as a table with a row for each view."""
    rows: dict[str, dict[str, float]] = {name: {} for name in structs}
    overall = rows[""] = {}  # no view: all interactions
    for metric, value in result.items():
        if not is_of_group(metric):
            plain, view = without_view(metric)
            rows[view][plain] = value

    n_users = len(struct.get(NEED).users)
    views = {name: (len(own.get(NEED).users), rows[name]) for name, own in structs.items()}
    getLogger().info("results by view\n" + table(overall, views, n_users))


def add_user_results(
    frame: pd.DataFrame,
    metrics: Mapping[str, AbstractMetric],
    structs: Mapping[str, DataStruct],
) -> pd.DataFrame:
    """Add the results of each user in each view, NaN for a user who is not in it.

    Args:
        frame: Result of :func:`~recbole_sibrar.evaluator.breakdown.per_user_results` for all
            interactions.
        metrics: Name -> RecBole's metric object.
        structs: Name of each view -> its collected data.
    """
    # the items stay the last column
    user = frame.columns[0]
    lists = frame["items"]
    frame = frame.drop(columns="items")
    for name, struct in structs.items():
        own = per_user_results(metrics, struct)
        own = own.drop(columns="items").set_index(user)
        own.columns = [metric_in_view(metric, name) for metric in own.columns]
        frame = frame.join(own, on=user)
    return frame.assign(items=lists)
