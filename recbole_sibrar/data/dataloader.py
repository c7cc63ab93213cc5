"""Loaders that RecBole's own cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.data.dataloader.abstract_dataloader import NegSampleDataLoader
from recbole.sampler import Sampler
from recbole.sampler.sampler import AbstractSampler

from recbole_sibrar.data.sampler import PoolSampler, known_pairs


class MultimodalTrainDataLoader(TrainDataLoader):
    """RecBole's training loader whose negatives depend on seed, epoch and batch, not on the process that draws them.

    RecBole draws negatives from NumPy's global generator, of which every worker process has a copy of its own, so
    that ``worker: 2`` gives other numbers than ``worker: 0``. Here a batch is drawn from a stream of its own.
    """

    epoch = -1
    """Number of passes over the data that were started, less one; part of what a resumed run restores."""

    def _set_neg_sample_args(self, config: Any, dataset: Any, dl_format: Any, neg_sample_args: Any) -> None:
        """Prepare the sampling of negatives, whose fields, other than their ids, are in no batch."""
        super()._set_neg_sample_args(config, dataset, dl_format, neg_sample_args)
        for name in () if dataset.item_feat is None else dataset.item_feat.columns:
            if name != dataset.iid_field:
                for properties in (dataset.field2type, dataset.field2source, dataset.field2seqlen):
                    properties.pop(f"{config['NEG_PREFIX']}{name}", None)

    def __iter__(self) -> Any:
        self.epoch += 1
        if self.num_workers and type(self._sampler) is Sampler:
            known_pairs(self._sampler)  # which each process would gather for itself in each epoch
        return super().__iter__()

    def collate_fn(self, index: Any) -> Any:
        """Build a batch from the rows ``index`` of the training interactions."""
        with numpy_stream(self.config["seed"], self.epoch, int(index[0])):
            return super().collate_fn(index)


@contextmanager
def numpy_stream(*key: int) -> Iterator[None]:
    """Let NumPy's global generator draw from the stream of a key, and go on afterwards as if nothing had been drawn."""
    state = np.random.get_state()
    np.random.seed(np.random.SeedSequence(key).generate_state(4))
    try:
        yield
    finally:
        np.random.set_state(state)


def collate_full_sort(original: Callable[..., Any], loader: FullSortEvalDataLoader, index: Any) -> Any:
    """Build the batch of RecBole's full-sort loader, number by number, without a tensor for each user and list.

    Args:
        original: RecBole's method, which builds the batches of sequential models.
        loader: The loader.
        index: Rows of its users.
    """
    if loader.is_sequential:
        return original(loader, index)
    users = loader.user_df[np.array(index)]
    ids = users[loader.uid_field].numpy()
    history, positives = (_rows_and_items(held[ids]) for held in (loader.uid2history_item, loader.uid2positive_item))
    return users, history, *positives


def _rows_and_items(held: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The items of several users one after the other, and whose they are."""
    sizes = torch.tensor([len(items) for items in held])
    return torch.arange(len(held)).repeat_interleave(sizes), torch.cat(list(held))


class CandidateFullSortDataLoader(FullSortEvalDataLoader):
    """RecBole's full-sort loader that ranks some of the items only.

    What RecBole masks before it ranks is the index that the loader returns beside the users; here it is a boolean mask
    of history and of everything that is no candidate, so that any model can be evaluated, whatever it scores.
    """

    candidates: torch.Tensor
    """bool ``[n_items]``: the items that are ranked: those with an interaction in the evaluated part."""

    def __init__(self, config: Any, dataset: Any, sampler: Any, shuffle: bool = False) -> None:
        self.candidates = torch.from_numpy(items_of(dataset))
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def collate_fn(self, index: Any) -> Any:
        """The batch of RecBole's loader with a mask bool ``[n_users, n_items]`` in the place of the history's index."""
        interaction, history, positive_users, positive_items = super().collate_fn(index)
        excluded = (~self.candidates).repeat(len(interaction), 1)
        if history is not None:
            excluded[history] = True
        return interaction, excluded, positive_users, positive_items


def items_of(dataset: Any) -> np.ndarray:
    """bool ``[n_items]``: which items have an interaction in a part of a split."""
    return np.bincount(dataset.inter_feat[dataset.iid_field].numpy(), minlength=dataset.item_num) > 0


def draws_negatives(loader: Any) -> bool:
    """Whether a training or evaluation loader of RecBole draws negative items."""
    if not isinstance(loader, NegSampleDataLoader) or not isinstance(loader._sampler, AbstractSampler):
        return False
    return loader.neg_sample_args["distribution"] != "none" and loader.neg_sample_args["sample_num"] != "none"


def restrict_sampling(loader: Any, pool: np.ndarray, popularity: np.ndarray) -> None:
    """Let a loader draw its negatives from a pool of items.

    Args:
        loader: A training or evaluation loader of RecBole; one that draws no negatives is left as it is.
        pool: bool ``[n_items]``.
        popularity: int64 ``[n_items]``, number of training interactions of each item.

    Raises:
        DataError: Nothing can be drawn for some user.
    """
    if not draws_negatives(loader):
        return
    dataset = loader._dataset
    users = np.unique(dataset.inter_feat[dataset.uid_field].numpy())
    tokens = dataset.field2id_token[dataset.uid_field]
    loader._sampler = PoolSampler(loader._sampler, np.flatnonzero(pool), popularity, users, tokens)
