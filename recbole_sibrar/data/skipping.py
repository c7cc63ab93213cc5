"""Going on with an epoch's batches after those that were trained before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from recbole.utils import KGDataLoaderState

from recbole_sibrar.data.dataloader import MultimodalTrainDataLoader


class _Rest:
    """The batches of a sampler, as lists of rows, without the first ones."""

    def __init__(self, batches: Any, done: int) -> None:
        self.batches = batches
        self.done = done

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.islice(iter(self.batches), self.done, None)

    def __len__(self) -> int:
        return max(0, len(self.batches) - self.done)


def rest_of_epoch(loader: Any, done: int) -> Iterator[Any]:
    """Iterate over a training loader's batches without the first ones, as if they had been iterated over.

    They are not built, except where processes of RecBole's own loader build them: those draw the negatives of a batch
    from where the one before has left their random generators.

    Args:
        loader: RecBole's training loader, also the combined one of knowledge-based models; ours.
        done: Number of batches to skip, up to all.
    """
    iterator, built = _iterator(loader, done)
    batches = iter(iterator.__next__, None)  # the combined loader is its own iterator, and would start anew
    return itertools.islice(batches, built, None)


def _iterator(loader: Any, done: int) -> tuple[Any, int]:
    """An iterator over a loader, and how many batches that it still gives are to be thrown away."""
    combined = hasattr(loader, "kg_dataloader")
    part = loader.general_dataloader if combined else loader
    if not done or (part.num_workers and not isinstance(part, MultimodalTrainDataLoader)):
        return iter(loader), done
    if not combined:
        return _rest(loader, done), 0
    if loader.state is not KGDataLoaderState.RSKG:
        return _rest(loader.kg_dataloader if loader.state is KGDataLoaderState.KG else part, done), 0
    graph = loader.kg_dataloader
    rounds = (done - 1) // len(graph)  # the graph starts again where the interactions have more batches
    for _ in range(rounds):
        next(_rest(graph, len(graph)), None)
    loader.kg_iter, loader.gen_iter = _rest(graph, done - rounds * len(graph)), _rest(part, done)
    return loader, 0


def _rest(loader: Any, done: int) -> Iterator[Any]:
    attributes = vars(loader)
    batches = attributes["batch_sampler"]
    attributes["batch_sampler"] = _Rest(batches, done)  # torch allows no other until the loader is iterated over
    try:
        return iter(loader)
    finally:
        attributes["batch_sampler"] = batches
