"""Views of a mixed evaluation: every metric of the cold and of the warm interactions, beside that of all.

The model scores once. Each view ranks its own candidates by these scores, for its own users.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from logging import getLogger

import pandas as pd
import torch
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct
from recbole.trainer import Trainer
from torch import Tensor

from recbole_sibrar.data.views import View
from recbole_sibrar.evaluator.breakdown import per_user_results, table
from recbole_sibrar.evaluator.lists import ListCollector
from recbole_sibrar.evaluator.metrics import NEED
from recbole_sibrar.evaluator.ranking import collect_batch, find_best
from recbole_sibrar.names import metric_in_view, without_view
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin.state import collector_state, fork

__all__ = ["ViewCollector", "add_results", "add_user_results", "log_results"]


class ViewCollector:
    """Collects one view of an evaluation, batch by batch, in a collector of its own.

    Args:
        view: The view.
        collector: RecBole's collector of the evaluation, with the training data.
        lists: Collector of the recommendation lists; None where no metric and no report needs them.
    """

    def __init__(self, view: View, collector: Collector, lists: ListCollector | None) -> None:
        self.name = view.name
        self.users = torch.from_numpy(view.users)
        self.candidates = torch.from_numpy(view.candidates)
        self.collector = fork(collector)
        self.lists = lists
        collector_state(self.collector).lists = lists

    def add(
        self,
        original: Callable[..., None],
        scores: Tensor,
        interaction: Interaction,
        rows: Tensor,
        items: Tensor,
    ) -> None:
        """Add a batch; users without a held-out interaction of the view are left out.

        Args:
            original: RecBole's method of a collector.
            scores: float ``[b, n_items]``, -inf for items out of the ranking of all.
            interaction: RecBole's batch, a row for each user.
            rows: int64 ``[p]``, row of each held-out interaction.
            items: int64 ``[p]``, its item.
        """
        field = self.collector.config["USER_ID_FIELD"]
        users = interaction[field].cpu()
        rows, items = rows.cpu(), items.cpu()

        in_view = self.candidates[items] & self.users[users[rows]]
        rows, items = rows[in_view], items[in_view]
        chosen = torch.unique(rows)
        places = torch.searchsorted(chosen, rows)

        own = scores[chosen.to(scores.device)]
        own = own.masked_fill(~self.candidates.to(scores.device), -torch.inf)
        batch = Interaction({field: users[chosen]})
        top = find_best(own, max(self.collector.topk), empty_places=True)
        collect_batch(original, self.collector, own, batch, places, items, top)
        if self.lists is not None:
            self.lists.add(own, top, batch, places, items)

    def struct(self) -> DataStruct:
        """Return the collected data, of all processes in the first one."""
        struct: DataStruct = self.collector.get_data_struct()
        return struct


def add_results(trainer: Trainer, structs: Mapping[str, DataStruct], result: dict[str, float]) -> dict[str, float]:
    """Add the metrics of all views to the result of an evaluation; every process gets them.

    Args:
        trainer: RecBole's trainer.
        structs: Name of each view -> its collected data.
        result: Metrics of all interactions; changed in place.
    """
    found: dict[str, float] = OrderedDict()
    for name, struct in structs.items():
        values = trainer.evaluator.evaluate(struct)
        found.update({metric_in_view(metric, name): value for metric, value in values.items()})

    result.update(processes.broadcast(trainer.config, found))
    if processes.is_main(trainer.config):
        trainer.wandblogger.log_eval_metrics(found, head="eval")
    return result


def log_results(structs: Mapping[str, DataStruct], struct: DataStruct, result: Mapping[str, float]) -> None:
    """Log the results of a test as a table with a row for each view."""
    rows: dict[str, dict[str, float]] = {"": {}, **{name: {} for name in structs}}
    for metric, value in result.items():
        plain, view = without_view(metric)
        if "[" not in plain:
            rows[view][plain] = value

    overall = rows.pop("")
    sizes = {name: len(own.get(NEED).users) for name, own in structs.items()}
    views = {name: (sizes[name], values) for name, values in rows.items()}
    getLogger().info("results by view\n" + table(overall, views, len(struct.get(NEED).users)))


def add_user_results(
    frame: pd.DataFrame, metrics: Mapping[str, AbstractMetric], structs: Mapping[str, DataStruct]
) -> pd.DataFrame:
    """Add the results of each user in each view, NaN for a user who is not in it.

    Args:
        frame: Result of :func:`~recbole_sibrar.evaluator.breakdown.per_user_results` for all interactions.
        metrics: Name -> RecBole's metric object.
        structs: Name of each view -> its collected data.
    """
    user, lists = frame.columns[0], frame["items"]
    frame = frame.drop(columns="items")
    for name, struct in structs.items():
        own = per_user_results(metrics, struct).drop(columns="items").set_index(user)
        own.columns = [metric_in_view(metric, name) for metric in own.columns]
        frame = frame.join(own, on=user)
    return frame.assign(items=lists)
