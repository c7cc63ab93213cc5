"""Data of a checkpoint in another folder than at training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import recbole.data.utils
import recbole.quick_start
from recbole.config import Config

from recbole_sibrar.errors import CheckpointError


class Request(NamedTuple):
    """A call of ``load_data_and_model``."""

    checkpoint: str
    """The file that is loaded."""
    data_path: str | None
    """Folder of the data according to the caller; None for the one that training read."""


_request: ContextVar[Request | None] = ContextVar("load_data_and_model", default=None)
"""The call that is under way."""


def load_data_and_model(
    original: Callable[[str], Any],
    model_file: str,
    data_path: str | PathLike[str] | None = None,
) -> Any:
    """Load a checkpoint with its data as RecBole does, from another folder if one is given.

    Args:
        original: RecBole's function.
        model_file: The checkpoint.
        data_path: Folder of the data set's files, or the one above it.

    Raises:
        CheckpointError: The data are not there.
    """
    folder = None if data_path is None else str(data_path)
    token = _request.set(Request(str(model_file), folder))
    try:
        return original(model_file)
    finally:
        _request.reset(token)


def create_dataset(original: Callable[[Any], Any], config: Config) -> Any:
    """Make the data set; for a checkpoint, look first where its files are."""
    request = _request.get()
    if request is not None:
        # further data sets are not those of the checkpoint
        _request.set(None)
        place_data(config, request)
    return original(config)


def place_data(config: Config, request: Request) -> None:
    """Set the folder of the data in the configuration of a checkpoint.

    Args:
        config: RecBole's ``Config``; changed in place.
        request: The call that has read it.

    Raises:
        CheckpointError: The data are not there.
    """
    name = config["dataset"]
    recorded = Path(config["data_path"])
    in_recbole = Path(recbole.__path__[0], "dataset_example", name)

    places = [recorded]
    if request.data_path is not None:
        places = [Path(request.data_path, name), Path(request.data_path)]
    # ml-100k ships inside RecBole, which may be installed elsewhere now
    elif recorded.parts[-2:] == in_recbole.parts[-2:]:
        places.append(in_recbole)

    files = _files(config)
    found = next((place for place in places if _has_all(place, files)), None)
    if found is not None:
        config.final_config_dict["data_path"] = str(found)
    elif request.data_path is not None:
        raise CheckpointError(
            f"--data_path: found {request.data_path}, but neither it nor its folder {name} has "
            f"{', '.join(files)}, the data of {request.checkpoint}"
        )
    elif not _is_saved(config):
        raise CheckpointError(
            f"{request.checkpoint}: its data set '{name}' was read from {recorded}, where "
            f"{', '.join(files)} cannot be found; --data_path=FOLDER, or load_data_and_model(file, "
            "data_path=FOLDER) in Python, says where it is now"
        )


def _files(config: Config) -> list[str]:
    """Names of the files with the interactions."""
    parts = config["benchmark_filename"]
    if not parts:
        return [f"{config['dataset']}.inter"]
    return [f"{config['dataset']}.{part}.inter" for part in parts]


def _has_all(folder: Path, files: Sequence[str]) -> bool:
    return all((folder / file).is_file() for file in files)


def _is_saved(config: Config) -> bool:
    """Tell whether RecBole finds a file of ``save_dataset``, and may need no other files."""
    file = config["dataset_save_path"]
    if file:
        return Path(file).is_file()
    return any(Path(config["checkpoint_dir"]).glob(f"{config['dataset']}-*.pth"))
