"""Extensions of RecBole's data set: cold-start partitions, files of the parts, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from logging import getLogger
from typing import Any

from recbole.data.dataset import Dataset

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.data import negatives, partition
from recbole_sibrar.data.split import PARTS
from recbole_sibrar.parallel import processes


def remap_all_ids(original: Callable[..., None], dataset: Dataset) -> None:
    """Divide the interactions for cold start before RecBole numbers users and items."""
    settings = evaluation_config(dataset.config)
    filtered = dataset.inter_feat
    # parts in files are divided already
    if settings.cold_start and dataset.benchmark_filename_list is None:
        partition.divide(dataset, settings.cold_start, dataset.config["seed"])
    if settings.save_split:
        dataset.split_writer = partition.SplitWriter(dataset, filtered)
    original(dataset)


def normalize(original: Callable[..., None], dataset: Dataset) -> None:
    """Normalise fields; those of the data set's own configuration as far as they are loaded."""
    config = dataset.config
    names = config["normalize_field"]
    if names and "normalize_field" not in config.external_config_dict:
        # RecBole fails for a field that is not loaded
        loaded = [name for name in names if name in dataset.field2type]
        config.final_config_dict["normalize_field"] = loaded
    original(dataset)


def build(original: Callable[..., list[Dataset]], dataset: Dataset) -> list[Dataset]:
    """Split as RecBole does; check a cold-start split, and write the parts if asked."""
    settings = evaluation_config(dataset.config)
    writer = dataset.__dict__.pop("split_writer", None)
    frames = writer.build(dataset, lambda: original(dataset)) if writer else []
    parts: list[Any] = writer.parts if writer else original(dataset)

    cold_start = settings.cold_start
    if cold_start:
        is_mixed = cold_start.warm is not None
        found = partition.check_parts(parts, cold_start.group_by, is_mixed=is_mixed)
        getLogger().info(found)
    elif len(parts) == len(PARTS):
        getLogger().info(f"held-out pairs {partition.hash_of(parts)}")

    if writer and settings.save_split:
        if processes.is_main(dataset.config):
            writer.write(dataset, frames, settings.save_split)
        # Who loads the checkpoint writes nothing.
        dataset.config.final_config_dict["save_split"] = None
    negatives.note_split(dataset.config, parts)
    return parts
