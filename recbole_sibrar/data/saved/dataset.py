"""Files of data sets (``save_dataset``) for later runs.

RecBole has two faults here. It reads a saved data set although the atomic files have changed, or are
others of the same name. It divides that by the ``eval_args`` of the run that has saved it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.data.dataset import Dataset
from recbole.utils import set_color

from recbole_sibrar.data.saved.loaders import changed_keys, tell_anew, write
from recbole_sibrar.files import states_of_files
from recbole_sibrar.names import ATOMIC_FILES
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import FullConfig

_KEYS = ("encoding", "discretization", "numerical_features")
"""Keys that change a data set and that RecBole does not compare."""

_STATE = "files_when_saved"
"""Attribute of a saved data set with its files."""


def save_dataset(original: Callable[[Dataset], None], dataset: Dataset) -> None:
    """Write a data set as RecBole does, in the first process alone and as a whole or not at all."""
    config = dataset.config
    if processes.is_main(config):
        file = default_file(config, dataset)
        getLogger().info(set_color("Saving filtered dataset into ", "pink") + f"[{file}]")
        dataset.__dict__[_STATE] = files_of(config)
        write(file, dataset, "save_dataset")


def create_dataset(original: Callable[[Any], Dataset], config: FullConfig) -> Dataset:
    """Make the data set of a run, or read a saved one that equals it.

    A saved data set of other files or keys is left alone, and the log gives the reason.
    """
    dataset = original(config)
    if dataset.config is config:  # not read from a file
        return dataset

    asked_for = config["dataset_save_path"]
    file = Path(asked_for) if asked_for else default_file(config, dataset)
    reason = _changed(dataset, config)
    if reason:
        tell_anew("dataset_save_path", bool(asked_for), "data set is", file, reason)
        # RecBole looks for a file by itself; there is none in a file.
        config["dataset_save_path"] = str(file / "none")
        try:
            dataset = original(config)
        finally:
            config["dataset_save_path"] = asked_for

    # Parts, labels and negatives are those of this run.
    dataset.config = config
    return dataset


def default_file(config: FullConfig, dataset: Dataset) -> Path:
    """RecBole's file for a data set."""
    return Path(config["checkpoint_dir"]) / f"{config['dataset']}-{type(dataset).__name__}.pth"


def files_of(config: FullConfig) -> dict[str, tuple[int, int]]:
    """Find the atomic files of a data set: name -> bytes, and time of the last change."""
    suffixes = tuple(
        f".{name}" for name in (*ATOMIC_FILES, *(config["additional_feat_suffix"] or ()))
    )
    found: dict[str, tuple[int, int]] = {}
    for name, size, time in states_of_files(Path(config["data_path"])):
        if name.startswith(f"{config['dataset']}.") and name.endswith(suffixes):
            found[name] = (size, time)
    return found


def _changed(dataset: Dataset, config: FullConfig) -> str:
    """Describe the differences between a saved data set and that of a run."""
    found = [changed_keys(dataset.config.final_config_dict, config.final_config_dict, _KEYS)]
    # RecBole alone notes no files. Without any, the saved data set is all there is.
    then: Mapping[str, tuple[int, int]] | None = dataset.__dict__.get(_STATE)
    now = files_of(config)
    if then is not None and now:
        names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
        if names:
            found.append(f"{', '.join(names)} changed since")
    return "; ".join(filter(None, found))
