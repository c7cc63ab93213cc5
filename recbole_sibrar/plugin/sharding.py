"""Division of the training data, and of the users or rows of an evaluation, among several processes.

RecBole gives every process every n-th row, and fills up the last round with rows of others. Training keeps this,
shuffled by the seed. An evaluation would count some users twice, so each process gets a range of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.utils import ModelType
from torch.utils.data.distributed import DistributedSampler

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.parallel import processes


def init_loader(original: Any, loader: Any, config: Any, dataset: Any, sampler: Any, shuffle: bool = False) -> None:
    """Make a loader; of several processes, each gets its part."""
    if processes.count(config) == 1:
        original(loader, config, dataset, sampler, shuffle=shuffle)
    elif isinstance(loader, (FullSortEvalDataLoader, NegSampleEvalDataLoader)):
        with _single_process(config, _draws_negatives(loader)):
            original(loader, config, dataset, sampler, shuffle=shuffle)
        loader.batch_sampler.sampler = own_range(config, loader.sample_size)
    elif config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        with _single_process(config):  # such a model counts: nothing of it is averaged over processes
            original(loader, config, dataset, sampler, shuffle=shuffle)
        loader.shuffle = False  # RecBole's trainer would tell its distributed sampler the epoch
    else:
        original(loader, config, dataset, sampler, shuffle=shuffle)
        if isinstance(loader.sampler, DistributedSampler):
            loader.sampler.seed = config["seed"]


def own_range(config: Any, n: int) -> range:
    """Range of the ``n`` users or rows of this process; empty for an empty part.

    Raises:
        DataError: There are some, but fewer than processes.
    """
    n_ranks, rank = processes.count(config), processes.rank(config)
    if 0 < n < n_ranks:
        raise DataError(f"--nproc: found {n_ranks} processes for an evaluation of {n} users, allowed are up to {n}")
    return range(n * rank // n_ranks, n * (rank + 1) // n_ranks)


@contextmanager
def _single_process(config: Any, in_main_process: bool = False) -> Iterator[None]:
    """Let RecBole's constructor make what it makes for one process."""
    keys = {"single_spec": True, **({"worker": 0} if in_main_process else {})}
    before = {key: config[key] for key in keys}
    config.final_config_dict.update(keys)
    try:
        yield
    finally:
        config.final_config_dict.update(before)


def _draws_negatives(loader: Any) -> bool:
    if not isinstance(loader, NegSampleEvalDataLoader):
        return False
    arguments = loader.neg_sample_args
    return arguments["distribution"] != "none" and arguments["sample_num"] != "none"


def iterate(original: Any, loader: Any) -> Any:
    """Iterate; a sampled evaluation draws the same negatives as a single process."""
    if processes.count(loader.config) == 1 or not _draws_negatives(loader):
        return original(loader)
    return _with_negatives_of_all(original, loader)


def _with_negatives_of_all(original: Any, loader: Any) -> Iterator[Any]:
    """The batches of this process; the users of the others take their negatives from the same stream, in their turn."""
    own = loader.batch_sampler.sampler
    state = np.random.get_state()
    np.random.set_state(processes.broadcast(loader.config, state))
    _draw(loader, range(own.start))
    yield from original(loader)
    _draw(loader, range(own.stop, loader.sample_size))
    if not processes.is_main(loader.config):
        np.random.set_state(state)


def _draw(loader: Any, users: range) -> None:
    """Draw the negatives of users who are evaluated elsewhere."""
    for user in loader.uid_list[users.start : users.stop]:
        rows = loader._dataset.inter_feat[loader.uid2index[user]]
        pairs = (rows[field].numpy() for field in (loader.uid_field, loader.iid_field))
        loader._sampler.sample_by_user_ids(*pairs, loader.neg_sample_num)
