"""Continuing an epoch after its first batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from recbole.utils import KGDataLoaderState
from torch.utils.data import BatchSampler, DataLoader

from recbole_sibrar.data.dataloader import MultimodalTrainDataLoader


class _Rest:
    """Batch sampler without its first batches."""

    def __init__(self, batches: BatchSampler, done: int) -> None:
        self.batches = batches
        self.done = done

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.islice(iter(self.batches), self.done, None)

    def __len__(self) -> int:
        return max(0, len(self.batches) - self.done)


def rest_of_epoch(loader: Any, done: int) -> Iterator[Any]:
    """Iterate over the remaining batches of an epoch, with the same numbers as in a whole epoch.

    The first batches are not built. The exception are worker processes of RecBole's own loader:
    their random generators continue from one batch to the next.

    Args:
        loader: RecBole's training loader, the combined one of knowledge-based models, or ours.
        done: Number of batches to skip, up to all.
    """
    iterator, built = _iterator(loader, done)
    # The combined loader is its own iterator; iter() would start it anew.
    batches = iter(iterator.__next__, None)
    return itertools.islice(batches, built, None)


def _iterator(loader: Any, done: int) -> tuple[Any, int]:
    """Make an iterator over a loader, and count its first batches that are to be thrown away."""
    combined = hasattr(loader, "kg_dataloader")
    part = loader.general_dataloader if combined else loader
    # the generators of RecBole's workers continue from one batch to the next: all are built
    needs_all = part.num_workers and not isinstance(part, MultimodalTrainDataLoader)
    if not done or needs_all:
        return iter(loader), done
    if not combined:
        return _rest(loader, done), 0

    # an epoch over the graph alone, or over the interactions alone
    if loader.state is not KGDataLoaderState.RSKG:
        chosen = loader.kg_dataloader if loader.state is KGDataLoaderState.KG else part
        return _rest(chosen, done), 0

    graph = loader.kg_dataloader
    # the graph starts again where the interactions have more batches
    rounds = (done - 1) // len(graph)
    for _ in range(rounds):
        next(_rest(graph, len(graph)), None)
    loader.kg_iter = _rest(graph, done - rounds * len(graph))
    loader.gen_iter = _rest(part, done)
    return loader, 0


def _rest(loader: DataLoader[Any], done: int) -> Iterator[Any]:
    """Iterate over a loader without its first batches."""
    attributes = vars(loader)
    batches = attributes["batch_sampler"]
    # torch forbids to set the attribute itself
    attributes["batch_sampler"] = _Rest(batches, done)
    try:
        return iter(loader)
    finally:
        attributes["batch_sampler"] = batches
