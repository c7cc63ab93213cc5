"""RecBole's loaders with reproducible negatives, ranked candidates and faster batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader, NegSampleDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from recbole.sampler.sampler import AbstractSampler
from recbole.utils import InputType

from recbole_sibrar.data.rows import use_arrays
from recbole_sibrar.data.sampler import PoolSampler, known_pairs
from recbole_sibrar.protocols import ConfigLike, DatasetLike


class MultimodalTrainDataLoader(TrainDataLoader):
    """RecBole's training loader with negatives that depend on seed, epoch and batch alone.

    RecBole draws negatives from NumPy's global generator. Every worker process has its own copy of
    it, so that ``worker: 2`` gives other numbers than ``worker: 0``. Here each batch has its own
    random stream.
    """

    epoch = -1
    """Number of started passes over the data, less one; a resumed run restores it."""

    def __init__(
        self,
        config: ConfigLike,
        dataset: DatasetLike,
        sampler: AbstractSampler,
        shuffle: bool = False,
    ) -> None:
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        use_arrays(self)

    def _set_neg_sample_args(
        self,
        config: ConfigLike,
        dataset: Dataset,
        dl_format: InputType,
        neg_sample_args: dict[str, object],
    ) -> None:
        """Prepare the sampling of negatives; batches hold their ids alone."""
        super()._set_neg_sample_args(config, dataset, dl_format, neg_sample_args)
        if dataset.item_feat is None:
            return

        # RecBole registers a field of negatives for each field of items
        for name in dataset.item_feat.columns:
            if name != dataset.iid_field:
                field = f"{config['NEG_PREFIX']}{name}"
                dataset.field2type.pop(field, None)
                dataset.field2source.pop(field, None)
                dataset.field2seqlen.pop(field, None)

    def __iter__(self) -> Iterator[Interaction]:
        self.epoch += 1
        if self.num_workers and type(self._sampler) is Sampler:
            # before the workers are forked: else each gathers the pairs in each epoch
            known_pairs(self._sampler)
        batches: Iterator[Interaction] = super().__iter__()
        return batches

    def collate_fn(self, index: Sequence[int]) -> Interaction:
        """Build a batch from the rows ``index`` of the training interactions."""
        # the first row tells the batches of an epoch apart
        with numpy_stream(self.config["seed"], self.epoch, int(index[0])):
            return super().collate_fn(index)


_BITS = np.random.MT19937(0)
"""Generator of the streams of :func:`numpy_stream`, seeded anew for each."""


@contextmanager
def numpy_stream(*key: int) -> Iterator[None]:
    """Give NumPy's global generator a stream of its own within a ``with`` block.

    Its numbers are those after ``np.random.seed``. Afterwards the outer stream goes on, but for a
    second normal number that it may have kept. Blocks cannot lie in each other.
    """
    # RecBole's samplers draw from the global generator. Another one takes its place, as two copies
    # of the state would take five times as long.
    np.random.RandomState(_BITS).seed(np.random.SeedSequence(key).generate_state(4))
    outer = np.random.get_bit_generator()
    np.random.set_bit_generator(_BITS)
    try:
        yield
    finally:
        np.random.set_bit_generator(outer)


def collate_full_sort(
    original: Callable[..., Any],
    loader: FullSortEvalDataLoader,
    index: Sequence[int],
) -> Any:
    """Build the batch of RecBole's full-sort loader without a tensor for each user and list.

    Args:
        original: RecBole's method, for the batches of sequential models.
        loader: The loader.
        index: Rows of its users.
    """
    if loader.is_sequential:
        return original(loader, index)

    users = loader.user_df[np.array(index)]
    ids = users[loader.uid_field].numpy()
    history = _rows_and_items(loader.uid2history_item[ids])
    positives = _rows_and_items(loader.uid2positive_item[ids])
    return users, history, *positives


def _rows_and_items(held: NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Concatenate the items of several users; returns the user's row and the item of each pair."""
    sizes = torch.tensor([len(items) for items in held])
    return torch.arange(len(held)).repeat_interleave(sizes), torch.cat(list(held))


class CandidateFullSortDataLoader(FullSortEvalDataLoader):
    """RecBole's full-sort loader for ranking the candidates alone.

    RecBole masks the history by an index from the loader before it ranks. Here the index is a
    boolean mask of the history and of all items outside the candidates. Any model can be evaluated
    this way, whatever it scores.
    """

    candidates: torch.Tensor
    """bool ``[n_items]``: candidates, the items with an interaction in the evaluated part.

    In a mixed evaluation the items of training are candidates as well.
    """

    def __init__(
        self,
        config: ConfigLike,
        dataset: DatasetLike,
        sampler: AbstractSampler,
        shuffle: bool = False,
    ) -> None:
        self.candidates = torch.from_numpy(items_of(dataset))
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def collate_fn(
        self, index: Sequence[int]
    ) -> tuple[Interaction, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Build RecBole's batch with a mask in the place of the history's index."""
        interaction, history, positive_users, positive_items = super().collate_fn(index)
        # [n_users, n_items]: RecBole's scores[history] = -inf takes a mask as well
        excluded = (~self.candidates).repeat(len(interaction), 1)
        if history is not None:
            excluded[history] = True
        return interaction, excluded, positive_users, positive_items


def items_of(dataset: DatasetLike) -> NDArray[np.bool_]:
    """Find the items with an interaction in a part of a split, bool ``[n_items]``."""
    items = dataset.inter_feat[dataset.iid_field].numpy()
    return np.bincount(items, minlength=dataset.item_num) > 0


def candidates_of(loader: Any, choice: str) -> NDArray[np.bool_]:
    """Find the candidates of an evaluation loader of RecBole, bool ``[n_items]``.

    Args:
        loader: The loader.
        choice: ``eval_candidates``.
    """
    if choice != "split":
        return np.arange(loader._dataset.item_num) > 0
    if isinstance(loader, CandidateFullSortDataLoader):
        return loader.candidates.numpy()
    return items_of(loader._dataset)


def draws_negatives(loader: object) -> bool:
    """Tell if a training or evaluation loader of RecBole draws negative items."""
    if not isinstance(loader, NegSampleDataLoader):
        return False
    if not isinstance(loader._sampler, AbstractSampler):
        return False
    arguments = loader.neg_sample_args
    return "none" not in (arguments["distribution"], arguments["sample_num"])


def restrict_sampling(
    loader: AbstractDataLoader,
    pool: NDArray[np.bool_],
    popularity: NDArray[np.int64],
) -> None:
    """Restrict the negatives of a loader to a pool of items.

    Args:
        loader: A training or evaluation loader of RecBole; one without negatives stays as it is.
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
    items = np.flatnonzero(pool)
    loader._sampler = PoolSampler(loader._sampler, items, popularity, users, tokens)
