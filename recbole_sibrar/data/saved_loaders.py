"""Loaders and data sets that a run writes to files (``save_dataloaders``, ``save_dataset``) and a later one reads.

RecBole takes the random generators out of the loaders that it saves, and trains with them afterwards; it fails for the
loaders of knowledge-based models; and it uses saved loaders whatever batch size, negatives or files they were made for.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.data.dataset import Dataset
from recbole.utils import set_color

from recbole_sibrar.config import WITHOUT_EFFECT, own_keys
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.record.recording import record_of, recorder_of
from recbole_sibrar.data.record.training_data import differences
from recbole_sibrar.files import replacing
from recbole_sibrar.parallel import processes

_OF_TRAINING = frozenset(
    {
        *("epochs", "learner", "learning_rate", "eval_step", "stopping_step", "clip_grad_norm", "weight_decay"),
        *("loss_decimal_place", "metrics", "topk", "valid_metric", "valid_metric_bigger", "metric_decimal_place"),
        *("eval_type", "eval_groups", "long_tail_ratio", "ild_modality", "calibration_field", "calibration_alpha"),
        *("loss_type", "embedding_size", "enable_amp", "enable_scaler", "reproducibility"),
    }
)
"""Keys of the model, its training and its metrics, which no loader depends on."""

_FOUND = "found_loaders"
"""Attribute of a configuration with the loaders that were found for it."""

_DAMAGE = (pickle.UnpicklingError, EOFError, OSError, AttributeError, ImportError, IndexError, TypeError, ValueError)
"""Exceptions of pickle for a file that is damaged, or of another version of the classes in it."""


def save_split_dataloaders(original: Any, config: Any, dataloaders: tuple[Any, ...]) -> None:
    """Write the loaders of a run; see :func:`save`."""
    save(config, dataloaders)


def load_split_dataloaders(original: Any, config: Any) -> tuple[Any, ...] | None:
    """Read the loaders that :func:`prepare` has found, or those of an earlier run."""
    return config.__dict__.pop(_FOUND) if _FOUND in config.__dict__ else load(config)


def prepare(config: Any, dataset: Any, prepare_data: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Make the loaders of a run, or read them where that is the same.

    Args:
        config: RecBole's ``Config``.
        dataset: The data set that the run has loaded.
        prepare_data: RecBole's ``data_preparation``, which looks for saved loaders without knowing the data set.

    Returns:
        The loaders of training, validation and test.
    """
    found = config.__dict__[_FOUND] = load(config, dataset)
    loaders = prepare_data()
    if found is not None and dataset.benchmark_filename_list is None:
        # as before a split: RecBole counts operations with the second row, for which BERT4Rec draws numbers
        if config["eval_args"]["order"] == "TO":
            dataset.sort(by=dataset.time_field)
        else:
            dataset.shuffle()
    return loaders


def parts_of(loader: Any) -> list[Any]:
    """The torch loaders of a RecBole loader: itself, or the two of a knowledge-based model's."""
    if hasattr(loader, "kg_dataloader"):
        return [loader.general_dataloader, loader.kg_dataloader]
    return [loader]


def default_file(config: Any) -> Path:
    """The file that RecBole gives the loaders of a data set and a model."""
    return Path(config["checkpoint_dir"]) / f"{config['dataset']}-for-{config['model']}-dataloader.pth"


def save(config: Any, loaders: tuple[Any, ...]) -> None:
    """Write loaders as RecBole does, without changing them.

    Several processes write none: each has a part of the rows.

    Args:
        config: RecBole's ``Config``.
        loaders: Those of training, validation and test.

    Raises:
        DataError: The file cannot be written.
    """
    if processes.count(config) > 1:
        if processes.is_main(config):
            getLogger().warning("save_dataloaders: nothing is saved, as each of several processes has its own loaders")
        return
    file = default_file(config)
    getLogger().info(set_color("Saving split dataloaders into", "pink") + f": [{file}]")
    with _without_generators(loaders) as states:
        _write(file, list(zip(loaders, states, strict=True)), "save_dataloaders")


def save_dataset(original: Any, dataset: Dataset) -> None:
    """Write a data set as RecBole does, in the first of several processes, while none can read a part of it."""
    config = dataset.config
    if processes.is_main(config):
        file = Path(config["checkpoint_dir"]) / f"{config['dataset']}-{type(dataset).__name__}.pth"
        getLogger().info(set_color("Saving filtered dataset into ", "pink") + f"[{file}]")
        _write(file, dataset, "save_dataset")


def _write(file: Path, content: Any, key: str) -> None:
    """Write a pickle.

    Raises:
        DataError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            pickle.dump(content, stream)
    except OSError as error:
        raise DataError(f"{key}: cannot write {file}: {error.strerror or error}") from None


@contextmanager
def _without_generators(loaders: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Take the generators, which pickle cannot write, out of loaders within a ``with`` block; yields their states."""
    owners = [owner for loader in loaders for part in parts_of(loader) for owner in (part, part.sampler)]
    generators = [(owner, owner.generator) for owner in owners if hasattr(owner, "generator")]
    states = [[part.generator.get_state() for part in parts_of(loader)] for loader in loaders]
    for owner, _ in generators:
        owner.generator = None
    try:
        yield [own if len(own) > 1 else own[0] for own in states]  # one state a loader, as RecBole writes it
    finally:
        for owner, generator in generators:
            owner.generator = generator


def load(config: Any, dataset: Any = None) -> tuple[Any, ...] | None:
    """Read saved loaders, if there are any and they are those that this run would make.

    Args:
        config: RecBole's ``Config``.
        dataset: The data set that the run has loaded, to compare the data with; None compares the configuration alone.

    Returns:
        The loaders of training, validation and test; None if the run has to make its own. The log says why, if a file
        is there or was asked for.
    """
    asked_for = config["dataloaders_save_path"]
    file = Path(asked_for) if asked_for else default_file(config)
    if not file.is_file() and not asked_for:
        return None
    found, reason = _read(config, file, dataset)
    if found is None:
        say = getLogger().warning if asked_for else getLogger().info
        say(f"dataloaders_save_path: the loaders are made anew, and not read from {file}: {reason}")
        return None
    for part in (part for loader in found for part in parts_of(loader)):
        part.config = config
    getLogger().info(set_color("Load split dataloaders from", "pink") + f": [{file}]")
    return found


def _read(config: Any, file: Path, dataset: Any) -> tuple[tuple[Any, ...] | None, str]:
    """The loaders of a file, or None and the reason why they cannot be used."""
    if processes.count(config) > 1:
        return None, "each of several processes has its own"
    if not file.is_file():
        return None, "there is no such file"
    try:
        with file.open("rb") as stream:
            train, valid, test = (_with_generators(*saved) for saved in pickle.load(stream))
        earlier = parts_of(train)[0].config
    except _DAMAGE as error:
        return None, f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
    added = _added(earlier, config)
    changed = _changed(earlier.final_config_dict, config.final_config_dict | added) or _changed_data(train, dataset)
    if changed:
        return None, changed
    config.final_config_dict.update(added)
    return (train, valid, test), ""


def _added(earlier: Any, config: Any) -> dict[str, Any]:
    """Keys that loaders have put into the configuration when they were made, which the model reads (BERT4Rec)."""
    given = earlier.external_config_dict.keys() | config.final_config_dict.keys()
    return {key: value for key, value in earlier.final_config_dict.items() if key not in given}


def _changed_data(train: Any, dataset: Any) -> str:
    """How the data set that was loaded differs from the one that a training loader was made of."""
    then = record_of(train)
    if dataset is None:
        return ""
    if then is None:
        return "they do not say what data they were made of"
    return "; ".join(differences(then, recorder_of(dataset).record()))


def _changed(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """The keys that loaders depend on and that two configurations do not share, with both values."""
    keys = sorted((earlier.keys() | now.keys()).difference(WITHOUT_EFFECT, _OF_TRAINING, own_keys()))
    both = [(key, earlier.get(key), now.get(key)) for key in keys]
    return ", ".join(f"{key}: {there} there, {here} here" for key, there, here in both if str(there) != str(here))


def _with_generators(loader: Any, states: Any) -> Any:
    """A loader that was read, with the generators that it was saved without."""
    parts = parts_of(loader)
    for part, state in zip(parts, states if isinstance(states, list) else [states], strict=True):
        generator = torch.Generator()
        generator.set_state(state)
        part.generator = part.sampler.generator = generator
    return loader
