"""Recommendations on a Ray cluster: shards of users stream through actors that hold the model.

Not by Ray Data: that of Ray 2.6.3, which RecBole pins, needs parts of ``pkg_resources`` that
setuptools has dropped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import ray
from ray.exceptions import RayError

from recbole_sibrar.errors import DataError, ProcessError, one_line
from recbole_sibrar.quick_start.cluster import session
from recbole_sibrar.serving.batch.actor import Answer, Failure, ShardActor
from recbole_sibrar.serving.batch.jobs import Written, write_results
from recbole_sibrar.serving.batch.reading import read_pieces
from recbole_sibrar.serving.batch.shards import Shard, ShardOptions, shards_of
from recbole_sibrar.serving.batch.writing import TABLES, check_output
from recbole_sibrar.serving.bundle.manifest import Manifest
from recbole_sibrar.serving.encoding.frames import read_table

__all__ = ["Batch", "recommend_file"]

_ADVICE = "the same command without --cluster needs no Ray"

_AHEAD = 2
"""Shards that wait at an actor, the one in work included."""

_FINISHED = 8
"""Shards for each actor that are in work or wait to be written; more would take memory."""

_RESTARTS = 3
"""Times that an actor is started again after its machine was lost; the shard is then done again."""


@dataclass(frozen=True)
class Batch:
    """A batch of recommendations."""

    model: Path
    """Folder of the portable model, at the same place on all machines."""
    users: Path | None
    """Table of users; None for all known ones."""
    items: Path | None
    """Table of new items; None for none."""
    output: Path
    """File of the recommendations."""
    options: ShardOptions
    """Number of items and their choice."""


def recommend_file(batch: Batch, address: str, progress: bool = True) -> Written:
    """Write the recommendations of a batch; the lines are those without a cluster.

    Args:
        batch: The batch.
        address: Address of a cluster, or ``local``.
        progress: Show a progress bar.

    Raises:
        ConfigError: There is no such cluster.
        DataError: A file cannot be read or written, or a user is unknown.
        PortableModelError: A machine cannot load the model.
        ProcessError: Ray has failed.
    """
    check_output(batch.output, TABLES)
    spec = Manifest.read(batch.model).users
    with session.connected(address, "recbole-sibrar recommend", _ADVICE):
        added = list(_new_items(batch))
        results = _results(batch, shards_of(batch.users, spec), added)
        # A table of users is read in pieces: the progress bar has no total for it.
        n_users = spec.n if batch.users is None else None
        return write_results(results, batch.output, n_users, progress)


def _new_items(batch: Batch) -> Iterator[pa.Table]:
    """Read the table of new items."""
    if batch.items is None:
        return
    spec = Manifest.read(batch.model).items
    for piece in read_pieces(batch.items, spec):
        frame = read_table(piece, spec, "item")
        if frame.tokens is None:
            raise DataError(f"{batch.items}: the column '{spec.id_field}' is missing")
        yield pa.table({spec.id_field: pa.array(frame.tokens, pa.string()), **frame.columns})


def _results(
    batch: Batch, shards: Iterable[Shard], added: list[pa.Table]
) -> Iterator[tuple[pd.DataFrame, int]]:
    """Recommend shard by shard; the results come in the order of the shards.

    Raises:
        ProcessError: Ray has failed.
    """
    # ray.put: each actor reads the one copy of its machine.
    queue = _Queue(str(batch.model.absolute()), ray.put(added), batch.options)
    try:
        for shard in shards:
            queue.put(shard)
            yield from queue.take(queue.n_finished)
        yield from queue.take(0)
    except RayError as error:
        raise ProcessError(f"Ray: {one_line(error, 300)}; {_ADVICE}") from None


class _Queue:
    """Shards in work at actors, in their order.

    Args:
        arguments: Arguments of :class:`ShardActor`.
    """

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.most = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        self.actors: list[Any] = []
        self.in_order: deque[Any] = deque()
        self.in_work: dict[Any, int] = {}
        """Result to come -> position of its actor."""

    @property
    def n_finished(self) -> int:
        """Number of shards that may be in work or wait to be written."""
        return _FINISHED * len(self.actors)

    def put(self, shard: Shard) -> None:
        """Give a shard to the actor with the least work."""
        while len(self.in_work) >= _AHEAD * self.most:
            self._wait(None)
        self._wait(0)

        in_work = Counter(self.in_work.values())
        loads = [in_work[place] for place in range(len(self.actors))]
        # An actor loads the whole model: another one starts only if all have work.
        if len(self.actors) < self.most and 0 not in loads:
            self.actors.append(self._start())
            loads.append(0)

        place = loads.index(min(loads))
        result = self.actors[place].recommend.remote(shard)
        self.in_order.append(result)
        self.in_work[result] = place

    def take(self, n_left: int) -> Iterator[tuple[pd.DataFrame, int]]:
        """Take results from the front; stop at one that is not ready among the last ``n_left``.

        Args:
            n_left: Number of shards that may stay in the queue.
        """
        while self.in_order:
            is_ready = self.in_order[0] not in self.in_work
            if len(self.in_order) <= n_left and not is_ready:
                return

            result = self.in_order.popleft()
            answer: Answer = ray.get(result)
            self.in_work.pop(result, None)
            if isinstance(answer, Failure):
                raise answer.error()
            yield answer

    def _wait(self, seconds: float | None) -> None:
        """Note the results that are ready; wait for one if ``seconds`` is None."""
        if not self.in_work:
            return

        waiting = list(self.in_work)
        n_results = 1 if seconds is None else len(waiting)
        ready, _ = ray.wait(waiting, num_returns=n_results, timeout=seconds)
        for result in ready:
            del self.in_work[result]

    def _start(self) -> Any:
        actor: Any = ray.remote(ShardActor)
        return actor.options(num_cpus=1, max_restarts=_RESTARTS, max_task_retries=_RESTARTS).remote(
            *self.arguments
        )
