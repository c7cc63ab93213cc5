"""Division of the training data, and of an evaluation's users or rows, among processes.

RecBole gives every process every n-th row, and fills up the last round with rows of others.
Training keeps this, shuffled by the seed. An evaluation would count some users twice, so each
process gets a range of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from recbole.config import Config
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.utils import ModelType
from torch.utils.data.distributed import DistributedSampler

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.parallel import processes


def init_loader(
    original: Callable[..., None],
    loader: AbstractDataLoader,
    config: Config,
    dataset: Dataset,
    sampler: object,
    shuffle: bool = False,
) -> None:
    """Make a loader; of several processes, each gets its part."""
    if processes.count(config) == 1:
        original(loader, config, dataset, sampler, shuffle=shuffle)
    elif isinstance(loader, (FullSortEvalDataLoader, NegSampleEvalDataLoader)):
        with _single_process(config, _draws_negatives(loader)):
            original(loader, config, dataset, sampler, shuffle=shuffle)
        loader.batch_sampler.sampler = own_range(config, loader.sample_size)
    elif config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        # Such a model counts, and nothing of it is averaged over processes.
        with _single_process(config):
            original(loader, config, dataset, sampler, shuffle=shuffle)
        # RecBole's trainer would tell its distributed sampler the epoch.
        loader.shuffle = False
    else:
        original(loader, config, dataset, sampler, shuffle=shuffle)
        if isinstance(loader.sampler, DistributedSampler):
            loader.sampler.seed = config["seed"]


def own_range(config: Config, n: int) -> range:
    """Range of the ``n`` users or rows of this process; empty for an empty part.

    Raises:
        DataError: There are some, but fewer than processes.
    """
    n_ranks = processes.count(config)
    rank = processes.rank(config)
    if 0 < n < n_ranks:
        raise DataError(
            f"--nproc: found {n_ranks} processes for an evaluation of {n} users, allowed are up to "
            f"{n}"
        )
    return range(n * rank // n_ranks, n * (rank + 1) // n_ranks)


@contextmanager
def _single_process(config: Config, in_main_process: bool = False) -> Iterator[None]:
    """Let RecBole's constructor make what it makes for one process."""
    keys: dict[str, Any] = {"single_spec": True}
    if in_main_process:
        keys["worker"] = 0
    before = {key: config[key] for key in keys}
    config.final_config_dict.update(keys)
    try:
        yield
    finally:
        config.final_config_dict.update(before)


def _draws_negatives(loader: AbstractDataLoader) -> bool:
    if not isinstance(loader, NegSampleEvalDataLoader):
        return False
    arguments = loader.neg_sample_args
    return bool(arguments["distribution"] != "none" and arguments["sample_num"] != "none")


def iterate(original: Callable[..., Any], loader: AbstractDataLoader) -> Any:
    """Iterate; a sampled evaluation draws the same negatives as a single process."""
    if processes.count(loader.config) == 1 or not _draws_negatives(loader):
        return original(loader)
    return _with_negatives_of_all(original, loader)


def _with_negatives_of_all(
    original: Callable[..., Iterator[Any]], loader: AbstractDataLoader
) -> Iterator[Any]:
    """Yield the batches of this process, between the negatives of earlier and later ones."""
    # every process draws the numbers of all, from the random state of the first
    own = loader.batch_sampler.sampler
    state = np.random.get_state()
    np.random.set_state(processes.broadcast(loader.config, state))
    _draw(loader, range(own.start))
    yield from original(loader)
    _draw(loader, range(own.stop, loader.sample_size))

    # the first has the state that a single process would have now
    if not processes.is_main(loader.config):
        np.random.set_state(state)


def _draw(loader: AbstractDataLoader, users: range) -> None:
    """Draw the negatives of users who are evaluated elsewhere."""
    for user in loader.uid_list[users.start : users.stop]:
        rows = loader._dataset.inter_feat[loader.uid2index[user]]
        users_of_rows = rows[loader.uid_field].numpy()
        items_of_rows = rows[loader.iid_field].numpy()
        loader._sampler.sample_by_user_ids(users_of_rows, items_of_rows, loader.neg_sample_num)
