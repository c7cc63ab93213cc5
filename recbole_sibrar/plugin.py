"""Entering RecBole's look-ups: the only place that extends RecBole's functions."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.resources import files
from logging import getLogger
from pathlib import Path
from typing import Any

import recbole.data.dataset
import recbole.data.utils
from recbole.config import Config

from recbole_sibrar import compat
from recbole_sibrar.config import MODALITY_KEYS, ConfigError, as_list, check_keys
from recbole_sibrar.data.dataloader import MultimodalTrainDataLoader
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.trainer import resume

MODELS = ("SiBraR",)
"""Names of our models, as on the command line."""

_OTHER_KEYS = frozenset(
    {"model", "dataset", "config_files", "config_file", "resume", "encoding", "tail_ratio", "discretization"}
    | {"wandb_project", "local_rank", "world_size", "nproc", "ip", "port", "offset"}
)
"""Keys that RecBole or the plugin reads though no file of defaults names them."""

_MARK = "_recbole_sibrar_original"


def register() -> None:
    """Make RecBole's own functions know our models, data and keys. Calling it again changes nothing."""
    compat.apply_repairs()
    for name in MODELS:
        module = import_module(f"recbole_sibrar.model.{name.lower()}")
        sys.modules[f"recbole.model.general_recommender.{name.lower()}"] = module
        setattr(recbole.data.dataset, f"{name}Dataset", MultimodalDataset)
    _extend(Config, "_convert_config_dict", _convert_config_dict)
    _extend(Config, "_load_internal_config_dict", _load_internal_config_dict)
    _extend(Config, "_set_default_parameters", _set_default_parameters)
    _extend(recbole.data.utils, "get_dataloader", _get_dataloader)
    resume.extend_trainer(_extend)


def is_registered() -> bool:
    """Whether :func:`register` has run in this process."""
    return hasattr(Config._load_internal_config_dict, _MARK)


def properties() -> Path:
    """Folder of our default configurations."""
    return Path(str(files("recbole_sibrar.properties")))


def _extend(owner: Any, name: str, extension: Callable[..., Any]) -> None:
    """Replace a function by one that is called with the original first; once only."""
    original = getattr(owner, name)
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def extended(*args: Any, **kwargs: Any) -> Any:
        return extension(original, *args, **kwargs)

    setattr(extended, _MARK, original)
    setattr(owner, name, extended)


def _load_internal_config_dict(original: Any, config: Config, model: str, model_class: type, dataset: str) -> None:
    """Load our defaults between RecBole's general ones and those of the data set, as RecBole does for its models."""
    original(config, model, model_class, dataset)
    if model not in MODELS:
        return
    in_recbole = Path(recbole.__path__[0]) / "properties" / "dataset" / f"{dataset}.yaml"
    for file in (properties() / "model" / f"{model}.yaml", in_recbole):
        if file.is_file():
            config._update_internal_config_dict(str(file))
    load_col = config.internal_config_dict.get("load_col")
    if load_col is not None:
        config.internal_config_dict["load_col"] = {"user": "*", "item": "*", **load_col}


def known_keys(config: Config) -> set[str]:
    """Every key that RecBole, the model's defaults or the plugin know."""
    listed = {key for keys in config.parameters.values() for key in keys}
    return listed | set(config.internal_config_dict) | _OTHER_KEYS


def _set_default_parameters(original: Any, config: Config) -> None:
    """Check the user's keys before RecBole completes the configuration."""
    if config.model in MODELS:
        for warning in check_keys(config.external_config_dict, known_keys(config)):
            getLogger().warning(warning)
    original(config)
    if config["resume"] and not resume.is_resumable(config["MODEL_TYPE"], config.model):
        raise ConfigError(
            f"resume: found {config['resume']!r}, but {config.model} has a trainer of its own, "
            "which cannot be resumed; leave the key out"
        )


def _convert_config_dict(original: Any, config: Config, config_dict: dict[str, Any]) -> dict[str, Any]:
    """Read lists of modalities as yaml; RecBole would evaluate ``[id]`` as Python, where it is a function."""
    lists = {key: as_list(config_dict[key]) for key in config_dict if key in MODALITY_KEYS}
    return {**original(config, {key: value for key, value in config_dict.items() if key not in lists}), **lists}


def _get_dataloader(original: Any, config: Config, phase: str) -> type:
    """Training batches of our models draw their negatives independently of the number of workers."""
    loader = original(config, phase)
    return MultimodalTrainDataLoader if config["model"] in MODELS and phase == "train" else loader
