"""Extensions of RecBole's data loaders: negatives, candidates, and the knowledge of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.config import Config
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset

from recbole_sibrar.config import ConfigError, cold_start_config, evaluation_config, long_tail_ratio
from recbole_sibrar.data import negatives
from recbole_sibrar.data.dataloader import (
    CandidateFullSortDataLoader,
    MultimodalTrainDataLoader,
    candidates_of,
    restrict_sampling,
)
from recbole_sibrar.data.record import recording
from recbole_sibrar.data.saved import loaders as saved_loaders
from recbole_sibrar.data.views import View, views_of
from recbole_sibrar.evaluator import requirements
from recbole_sibrar.evaluator.lists import TrainingKnowledge
from recbole_sibrar.names import COLD
from recbole_sibrar.plugin.checks import has_encoders
from recbole_sibrar.plugin.configuration import general_defaults
from recbole_sibrar.plugin.evaluation import hooks
from recbole_sibrar.plugin.models import class_of

__all__ = ["data_preparation", "get_dataloader"]


def get_dataloader(original: Callable[..., type], config: Config, phase: str) -> type:
    """Choose the class of a loader: ours for training our models, and for candidates of a part.

    Args:
        original: RecBole's function.
        config: RecBole's ``Config``.
        phase: ``train``, ``valid`` or ``test``.
    """
    loader: type = original(config, phase)
    if has_encoders(class_of(config)) and phase == "train":
        return MultimodalTrainDataLoader

    is_full_sort = issubclass(loader, FullSortEvalDataLoader)
    if is_full_sort and evaluation_config(config).candidates == "split":
        return CandidateFullSortDataLoader
    return loader


def data_preparation(
    original: Callable[..., tuple[Any, Any, Any]],
    config: Config,
    dataset: Dataset,
) -> tuple[Any, Any, Any]:
    """Make the loaders of training, validation and test.

    Training draws its negatives from the items it may know, and an evaluation ranks its candidates.

    Args:
        original: RecBole's function.
        config: RecBole's ``Config``.
        dataset: RecBole's ``Dataset``.

    Raises:
        ConfigError: A key does not fit the data, or a file of an earlier run.
        DataError: The data do not fit the model.
    """
    for key, value in general_defaults().items():
        # A checkpoint written without the plugin has none.
        config.final_config_dict.setdefault(key, value)
    _check_split(config, dataset)
    requirements.check_items(config, dataset)

    train, valid, test = saved_loaders.prepare(
        config, dataset, prepare_data=lambda: original(config, dataset)
    )
    _check_written(config)

    parts = [loader._dataset for loader in (train, valid, test)]
    evaluated = negatives.note_split(config, parts)
    popularity = _popularity(train._dataset)
    negatives.restrict_training(config, train, evaluated, popularity)

    # among new items, none has a known popularity
    is_cold_start = evaluation_config(config).cold_start is not None
    held_out = is_cold_start or config["benchmark_filename"] is not None
    cold_items = held_out and evaluated["item"].all_new
    knowledge = TrainingKnowledge(train._dataset, long_tail_ratio(config), cold_items)

    for phase, loader in (("valid", valid), ("test", test)):
        # the views first: they enlarge the candidates of the loader
        views = _find_views(config, train, loader)
        n_ranked = _restrict_candidates(config, phase, loader, popularity)
        note = ""
        if views:
            sizes = ", ".join(f"{view.name} {view.candidates.sum()}" for view in views)
            note = f" ({sizes})"
        getLogger().info(f"ranked items: {phase} {n_ranked}{note}")

        own_views = _with_knowledge(config, phase, knowledge, views)
        hooks.prepare(loader, phase, knowledge, own_views)

    train.has_test_part = bool(test)
    train.data_note = recording.note_data(config, train, parts)
    if train.data_note:
        getLogger().warning(train.data_note)
    return train, valid, test


def _check_split(config: Config, dataset: Dataset) -> None:
    """Check that a saved data set was split as the configuration asks.

    Raises:
        ConfigError: It was split in another way.
    """
    if evaluation_config(config).cold_start != cold_start_config(dataset.config):
        raise ConfigError(
            f"dataset_save_path: the saved data set was split by {dataset.config['eval_args']}, "
            f"the configuration asks for {config['eval_args']}; delete the saved file"
        )


def _check_written(config: Config) -> None:
    """Check that ``save_split`` has written the parts.

    Raises:
        ConfigError: Nothing was split, so that nothing was written.
    """
    if config["save_split"]:
        raise ConfigError(
            f"save_split: found {config['save_split']!r}, but nothing was split: the data set or "
            "its loaders were read from a file that an earlier run saved; delete that file in "
            f"{config['checkpoint_dir']}"
        )


def _popularity(dataset: Dataset) -> NDArray[np.int64]:
    """Count the training interactions of each item: int64 ``[n_items]``."""
    items = dataset.inter_feat[dataset.iid_field].numpy()
    counts: NDArray[np.int64] = np.bincount(items, minlength=dataset.item_num)
    return counts


def _find_views(
    config: Config, train: AbstractDataLoader, loader: AbstractDataLoader
) -> Sequence[View]:
    """Find the views of a mixed evaluation, and let its loader rank the candidates of all of them.

    Args:
        config: RecBole's ``Config``.
        train: Loader of training.
        loader: Loader of validation or test.

    Returns:
        The views; none if only cold interactions, or only warm ones, are held out.
    """
    settings = evaluation_config(config)
    if settings.cold_start is None or settings.cold_start.warm is None:
        return ()

    group_by = settings.cold_start.group_by
    views = views_of(train._dataset, loader._dataset, group_by, settings.candidates)
    if isinstance(loader, CandidateFullSortDataLoader):
        ranked = np.any([view.candidates for view in views], axis=0)
        loader.candidates = torch.from_numpy(ranked)
    return views


def _with_knowledge(
    config: Config,
    phase: str,
    knowledge: TrainingKnowledge,
    views: Sequence[View],
) -> list[tuple[View, TrainingKnowledge]]:
    """Give each view the training data for its metrics."""
    cold = evaluation_config(config).cold_start
    has_new_items = cold is not None and cold.group_by != "user"

    found = []
    for view in views:
        n_candidates = int(view.candidates.sum())
        requirements.note_short_lists(config["topk"], f"{view.name} {phase}", n_candidates)

        own = knowledge
        if view.name == COLD and has_new_items:
            # new items have an unknown popularity among themselves
            own = TrainingKnowledge(knowledge.dataset, knowledge.tail_ratio, cold_items=True)
        found.append((view, own))
    return found


def _restrict_candidates(
    config: Config,
    phase: str,
    loader: AbstractDataLoader,
    popularity: NDArray[np.int64],
) -> int:
    """Restrict the negatives of a sampled evaluation to the candidates of its part.

    Args:
        config: RecBole's ``Config``.
        phase: ``valid`` or ``test``.
        loader: Loader of the part.
        popularity: int64 ``[n_items]``.

    Returns:
        Number of ranked items.
    """
    settings = evaluation_config(config)
    if settings.candidates == "split":
        pool = candidates_of(loader, settings.candidates)
        restrict_sampling(loader, pool, popularity)
        requirements.note_short_lists(config["topk"], phase, int(pool.sum()))
        return int(pool.sum())

    if settings.cold_start:
        # RecBole would draw from the items of the parts up to this one
        restrict_sampling(loader, np.arange(len(popularity)) > 0, popularity)
    return len(popularity) - 1
