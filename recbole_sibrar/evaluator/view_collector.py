"""Collection of a view of a mixed evaluation: the cold or the warm interactions alone.

The model scores once. Each view ranks its own candidates by these scores, for its own users.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_sibrar.data.views import View
from recbole_sibrar.evaluator.evaluation_state import collector_state, fork
from recbole_sibrar.evaluator.lists import ListCollector
from recbole_sibrar.evaluator.ranking import collect_batch, find_best

__all__ = ["ViewCollector"]


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
        rows = rows.cpu()
        items = items.cpu()

        in_view = self.candidates[items] & self.users[users[rows]]
        rows = rows[in_view]
        items = items[in_view]

        # Rows are numbered anew: those without a held-out interaction of the view fall out.
        chosen = torch.unique(rows)
        places = torch.searchsorted(chosen, rows)

        own = scores[chosen.to(scores.device)]
        own = own.masked_fill(~self.candidates.to(scores.device), -torch.inf)
        batch = Interaction({field: users[chosen]})
        # A view may have fewer candidates than the longest list has places.
        top = find_best(own, max(self.collector.topk), empty_places=True)
        collect_batch(original, self.collector, own, batch, places, items, top)
        if self.lists is not None:
            self.lists.add(own, top, batch, places, items)

    def struct(self) -> DataStruct:
        """Return the collected data, of all processes in the first one."""
        struct: DataStruct = self.collector.get_data_struct()
        return struct
