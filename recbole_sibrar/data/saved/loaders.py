"""Files of loaders (``save_dataloaders``) for later runs.

RecBole has three faults here. It takes the random generators out of the saved loaders and trains
with them afterwards. It fails for the loaders of knowledge-based models. It uses saved loaders for
any batch size, negatives and files.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.data.dataset import Dataset
from recbole.utils import set_color

from recbole_sibrar.config import OF_MODEL, WITHOUT_EFFECT
from recbole_sibrar.data.record.recording import record_of, recorder_of
from recbole_sibrar.data.record.training_data import differences
from recbole_sibrar.errors import DataError
from recbole_sibrar.files import replacing
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import DatasetLike, FullConfig, LoaderLike

_FOUND = "found_loaders"
"""Attribute of a configuration with its saved loaders."""

_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    OSError,
    AttributeError,
    ImportError,
    IndexError,
    TypeError,
    ValueError,
)
"""Exceptions of pickle for a damaged file, or for one with other versions of classes."""


def save_split_dataloaders(
    original: Callable[..., None],
    config: FullConfig,
    dataloaders: tuple[Any, ...],
) -> None:
    """Write the loaders of a run; see :func:`save`."""
    save(config, dataloaders)


def load_split_dataloaders(
    original: Callable[..., Any], config: FullConfig
) -> tuple[Any, ...] | None:
    """Take the loaders found by :func:`prepare`, or read those of an earlier run."""
    if _FOUND not in config.__dict__:
        return load(config)
    found: tuple[Any, ...] | None = config.__dict__.pop(_FOUND)
    return found


def prepare(
    config: FullConfig,
    dataset: Dataset,
    prepare_data: Callable[[], tuple[Any, ...]],
) -> tuple[Any, ...]:
    """Make the loaders of a run, or read equal ones from a file.

    Args:
        config: RecBole's ``Config``.
        dataset: The loaded data set.
        prepare_data: RecBole's ``data_preparation``; its own search for saved loaders ignores the
            data set.

    Returns:
        The loaders of training, validation and test.
    """
    # RecBole's own search, inside prepare_data, finds these
    found = load(config, dataset)
    config.__dict__[_FOUND] = found
    loaders = prepare_data()

    if found is not None and dataset.benchmark_filename_list is None:
        # As before a split: RecBole counts operations with the second row, and BERT4Rec draws
        # numbers for it.
        if config["eval_args"]["order"] == "TO":
            dataset.sort(by=dataset.time_field)
        else:
            dataset.shuffle()
    return loaders


def parts_of(loader: Any) -> list[Any]:
    """List the torch loaders of a RecBole loader: itself, or the two of a knowledge-based model."""
    if hasattr(loader, "kg_dataloader"):
        return [loader.general_dataloader, loader.kg_dataloader]
    return [loader]


def default_file(config: FullConfig) -> Path:
    """RecBole's file for the loaders of a data set and a model."""
    name = f"{config['dataset']}-for-{config['model']}-dataloader.pth"
    return Path(config["checkpoint_dir"]) / name


def save(config: FullConfig, loaders: tuple[Any, ...]) -> None:
    """Write loaders as RecBole does, without changing them.

    Several processes write none: each has its own part of the rows.

    Args:
        config: RecBole's ``Config``.
        loaders: The loaders of training, validation and test.

    Raises:
        DataError: The file cannot be written.
    """
    if processes.count(config) > 1:
        if processes.is_main(config):
            getLogger().warning(
                "save_dataloaders: nothing is saved, as each of several processes has its own "
                "loaders"
            )
        return

    file = default_file(config)
    getLogger().info(set_color("Saving split dataloaders into", "pink") + f": [{file}]")
    with _without_generators(loaders) as states:
        write(file, list(zip(loaders, states, strict=True)), "save_dataloaders")


def write(file: Path, content: object, key: str) -> None:
    """Write a pickle as a whole or not at all.

    Args:
        file: The file; its folder is made.
        content: What to write.
        key: Key of the configuration that asked for it.

    Raises:
        DataError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            pickle.dump(content, stream)
    except OSError as error:
        raise DataError(f"{key}: cannot write {file}: {error.strerror or error}") from None


def tell_anew(key: str, is_asked_for: bool, what: str, file: Path, reason: str) -> None:
    """Log why a saved file is not read: a warning where the user has named it.

    Args:
        key: Key of the configuration that can name the file.
        is_asked_for: True if it does.
        what: ``loaders are`` or ``data set is``.
        file: The file.
        reason: Its difference from what the run makes.
    """
    log = getLogger().warning if is_asked_for else getLogger().info
    log(f"{key}: the {what} made anew, and not read from {file}: {reason}")


@contextmanager
def _without_generators(loaders: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Take the generators out of loaders within a ``with`` block; yields their states."""
    states: list[Any] = []
    owners: list[Any] = []
    for loader in loaders:
        parts = parts_of(loader)
        own = [part.generator.get_state() for part in parts]
        # one state a loader, as RecBole writes it
        states.append(own if len(own) > 1 else own[0])
        for part in parts:
            owners += (part, part.sampler)

    # pickle cannot write a generator; a sampler without a shuffle has none
    generators = [(owner, owner.generator) for owner in owners if hasattr(owner, "generator")]
    for owner, _ in generators:
        owner.generator = None
    try:
        yield states
    finally:
        # RecBole leaves them out, and trains without them afterwards
        for owner, generator in generators:
            owner.generator = generator


def load(config: FullConfig, dataset: DatasetLike | None = None) -> tuple[Any, ...] | None:
    """Read saved loaders, if they equal those that this run would make.

    Args:
        config: RecBole's ``Config``.
        dataset: The loaded data set, for a comparison of the data; None compares the configuration
            alone.

    Returns:
        The loaders of training, validation and test; None if the run has to make its own. The log
        gives the reason, if there is a file or the configuration names one.
    """
    asked_for = config["dataloaders_save_path"]
    file = Path(asked_for) if asked_for else default_file(config)
    if not file.is_file() and not asked_for:
        return None

    found, reason = _read(config, file, dataset)
    if found is None:
        tell_anew("dataloaders_save_path", bool(asked_for), "loaders are", file, reason)
        return None

    # saved loaders hold the configuration of the earlier run
    for loader in found:
        for part in parts_of(loader):
            part.config = config
    getLogger().info(set_color("Load split dataloaders from", "pink") + f": [{file}]")
    return found


def _read(
    config: FullConfig, file: Path, dataset: DatasetLike | None
) -> tuple[tuple[Any, ...] | None, str]:
    """Read the loaders of a file; None and a reason if they cannot be used."""
    if processes.count(config) > 1:
        return None, "each of several processes has its own"
    if not file.is_file():
        return None, "there is no such file"

    try:
        with file.open("rb") as stream:
            train, valid, test = (_with_generators(*saved) for saved in pickle.load(stream))
        earlier = parts_of(train)[0].config
    except _DAMAGE as error:
        # some exceptions have no text
        found = " ".join(str(error).split()) or type(error).__name__
        return None, f"it cannot be read ({found})"

    added = _added(earlier, config)
    reason = _changed(earlier.final_config_dict, config.final_config_dict | added)
    if not reason:
        reason = _changed_data(train, dataset)
    if reason:
        return None, reason

    config.final_config_dict.update(added)
    return (train, valid, test), ""


def _added(earlier: FullConfig, config: FullConfig) -> dict[str, Any]:
    """Find the keys added to a configuration by its loaders; the model reads them (BERT4Rec)."""
    given = earlier.external_config_dict.keys() | config.final_config_dict.keys()
    final = earlier.final_config_dict
    return {key: final[key] for key in final if key not in given}


def _changed_data(train: LoaderLike, dataset: DatasetLike | None) -> str:
    """Describe the differences between a data set and that of a saved training loader."""
    then = record_of(train)
    if dataset is None:
        return ""
    if then is None:
        return "they have no record of their data"
    return "; ".join(differences(then, recorder_of(dataset).record()))


def _changed(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """Describe the differences between two configurations in the keys with influence on loaders."""
    return changed_keys(
        earlier, now, (earlier.keys() | now.keys()).difference(WITHOUT_EFFECT, OF_MODEL)
    )


def changed_keys(earlier: Mapping[str, Any], now: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Describe the differences between two configurations in some keys; empty without any."""
    found = []
    for key in sorted(keys):
        there = earlier.get(key)
        here = now.get(key)
        if str(there) != str(here):
            found.append(f"{key}: {there} there, {here} here")
    return ", ".join(found)


def _with_generators(loader: Any, states: Any) -> Any:
    """Give a loader from a file its generators."""
    if not isinstance(states, list):
        states = [states]
    for part, state in zip(parts_of(loader), states, strict=True):
        generator = torch.Generator()
        generator.set_state(state)
        part.generator = part.sampler.generator = generator
    return loader
