"""Extensions of RecBole's configuration: our defaults, files beside the data, checks of values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import recbole
import yaml
from recbole.config import Config
from recbole.utils import EvaluatorType, ModelType

from recbole_sibrar.config import (
    COLD_START,
    ConfigError,
    cold_start_config,
    evaluation_config,
    refuse,
    training_config,
)
from recbole_sibrar.config.choices import configuration_file, properties
from recbole_sibrar.config.keys import OTHER_KEYS
from recbole_sibrar.config.text import INTERVALS, has_brackets, is_plain, read_brackets
from recbole_sibrar.data.loading import labels
from recbole_sibrar.data.split import PARTS
from recbole_sibrar.evaluator import requirements
from recbole_sibrar.names import MODELS
from recbole_sibrar.plugin.checks import check_configuration, is_ours
from recbole_sibrar.plugin.training import resume
from recbole_sibrar.trainer import plain_values


def load_internal_config_dict(
    original: Callable[..., None],
    config: Config,
    model: str,
    model_class: type,
    dataset: str,
) -> None:
    """Load our defaults between RecBole's general ones and those of the data set."""
    original(config, model, model_class, dataset)
    general = general_defaults()
    config.internal_config_dict = {**general, **config.internal_config_dict}
    config.parameters["Evaluation"] = [*config.parameters["Evaluation"], *general]

    # RecBole's configuration of the data set again: it overrides the model's, as for its own models
    defaults = _defaults_of(model_class)
    if defaults is not None:
        in_recbole = _recbole_properties() / "dataset" / f"{dataset}.yaml"
        for file in (defaults, in_recbole):
            if file.is_file():
                config._update_internal_config_dict(str(file))
    _load_dataset_file(config, dataset)

    # RecBole's load_col for ml-100k has the interactions alone
    load_col = config.internal_config_dict.get("load_col")
    if is_ours(model_class) and load_col is not None:
        config.internal_config_dict["load_col"] = {"user": "*", "item": "*", **load_col}


def _defaults_of(model_class: type) -> Path | None:
    """Return the file with the defaults of our model, or of the base of a user's class.

    None for RecBole's models, whose defaults RecBole itself has loaded.
    """
    if model_class.__module__.startswith("recbole."):
        return None

    ours = is_ours(model_class)
    folder = (properties() if ours else _recbole_properties()) / "model"
    for base in model_class.__mro__:
        file = folder / f"{base.__name__}.yaml"
        if file.is_file():
            return file
    return folder / f"{MODELS[0]}.yaml" if ours else None


def _recbole_properties() -> Path:
    """Return the folder of RecBole's default configurations."""
    return Path(recbole.__path__[0]) / "properties"


def _load_dataset_file(config: Config, dataset: str) -> None:
    """Load the configuration beside the atomic files of a data set, if there is one.

    Raises:
        ConfigError: It is no mapping of keys to values.
    """
    external = config.external_config_dict
    default = config.internal_config_dict["data_path"]
    data_path = Path(external.get("data_path", default) or "")
    files = [data_path / dataset / f"{dataset}.yaml"]
    # parts may be in the folder of data_path itself; see _benchmark_folder
    if external.get("benchmark_filename"):
        files.append(data_path / f"{dataset}.yaml")

    file = next((file for file in files if file.is_file()), None)
    # RecBole reads ml-100k from its own folder only.
    if file is None or dataset == "ml-100k":
        return

    try:
        keys = yaml.load(file.read_text(encoding="utf-8"), Loader=config.yaml_loader)
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{file} is not yaml: {' '.join(str(error).split())}") from None
    if not isinstance(keys, dict):
        raise ConfigError(f"{file}: found {keys!r}, allowed are lines 'key: value'")

    # RecBole refuses both at once
    if external.get("normalize_all"):
        keys.pop("normalize_field", None)
    keys = plain_values.plain(keys)
    config.internal_config_dict.update(keys)

    listed = config.parameters["Dataset"]
    new = [key for key in keys if key not in listed]
    config.parameters["Dataset"] = [*listed, *new]


def general_defaults() -> dict[str, Any]:
    """Our keys that every model has, with their defaults."""
    text = (properties() / "overall.yaml").read_text(encoding="utf-8")
    defaults: dict[str, Any] = yaml.safe_load(text)
    return defaults


def known_keys(config: Config) -> set[str]:
    """Every key that RecBole, the model's defaults or the plugin know."""
    listed = set(chain.from_iterable(config.parameters.values()))
    return listed | set(config.internal_config_dict) | OTHER_KEYS


def set_default_parameters(original: Callable[..., None], config: Config) -> None:
    """Check the user's keys before RecBole completes the configuration."""
    check_configuration(config, known_keys(config), general_defaults())

    # before RecBole completes eval_args, so that group_by has to be the user's own
    is_general = config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.TRADITIONAL)
    if cold_start_config(config) and not is_general:
        allowed = f"RS, LS or TS for {config.model}, which is no general recommender"
        refuse("eval_args: split", COLD_START, allowed)

    # RecBole appends the name of the data set
    data_path = config["data_path"]
    original(config)
    if config["benchmark_filename"] is not None:
        folder = _benchmark_folder(config, Path(data_path or ""))
        config.final_config_dict["data_path"] = str(folder)

    # both refuse wrong values before the data are read
    _set_evaluation(config)
    training_config(config)
    if config["resume"] and not resume.is_resumable(config["MODEL_TYPE"], config.model):
        raise ConfigError(
            f"resume: found {config['resume']!r}, but {config.model} has a trainer of its own, "
            "which cannot be resumed; leave the key out"
        )


def _benchmark_folder(config: Config, data_path: Path) -> Path:
    """Find the folder with the files of ``benchmark_filename``.

    RecBole looks for them in the folder of ``data_path`` that has the data set's name, and for
    those of ml-100k in its own folder only; here ``data_path`` can also be the folder that holds
    them.

    Raises:
        ConfigError: No folder has them, or they are not given as a list.
    """
    names = config["benchmark_filename"]
    if not isinstance(names, (list, tuple)) or len(names) != len(PARTS):
        refuse("benchmark_filename", names, f"a list of three parts, such as [{', '.join(PARTS)}]")

    default = Path(config["data_path"])
    files = [f"{config.dataset}.{name}.inter" for name in names]
    places: list[Path] = [data_path / config.dataset, data_path, default]
    places = list(dict.fromkeys(places))
    for folder in places:
        if all((folder / file).is_file() for file in files):
            return folder

    # a folder of the data set is there, without these parts
    found = chain.from_iterable(folder.glob("*") for folder in places)
    if any(file.name.startswith(f"{config.dataset}.") for file in found):
        folders = " or ".join(map(str, places))
        allowed = f"parts whose files {', '.join(files)} are in {folders}"
        refuse("benchmark_filename", names, allowed)
    # where RecBole would download the data set to
    return default


def convert_config_dict(
    original: Callable[..., dict[str, Any]],
    config: Config,
    config_dict: dict[str, Any],
) -> dict[str, Any]:
    """Read values given as text as RecBole does, and lists without inner quotes as yaml."""
    return {key: _convert_value(original, config, key, value) for key, value in config_dict.items()}


def _convert_value(original: Callable[..., Any], config: Config, key: str, value: Any) -> Any:
    """Read one value."""
    # RecBole evaluates it as Python, in which [id] holds a function, and 1/0 and exit() fail
    try:
        with warnings.catch_warnings():
            # Python's advice about NDCG@10[cold], which is no list
            warnings.simplefilter("ignore", SyntaxWarning)
            converted = original(config, {key: value})[key]
    except (Exception, SystemExit):
        converted = value

    if not has_brackets(value):
        return converted
    # an interval such as [5,inf) stays a text
    is_interval = key in INTERVALS and value.strip().startswith("[")
    is_read = not isinstance(converted, str) and is_plain(converted)
    if is_interval or is_read:
        return converted
    return read_brackets(value, config.yaml_loader)


def _set_evaluation(config: Config) -> None:
    """Complete and check the keys about the evaluation of every model."""
    settings = evaluation_config(config)
    final = config.final_config_dict
    filter_key = "filter_inter_by_user_or_item"
    if settings.cold_start and filter_key not in config.external_config_dict:
        # Otherwise models that load .item would get other partitions.
        final[filter_key] = False
    if settings.candidates == "split":
        # RecBole compares eval_args before it uses saved loaders.
        final["eval_args"]["candidates"] = "split"

    if settings.save_split and config["MODEL_TYPE"] is ModelType.SEQUENTIAL:
        allowed = f"no value for {config.model}, which makes sequences of the parts"
        refuse("save_split", str(settings.save_split), allowed)

    requirements.check_mode(config)
    labels.check_threshold(config)
    if config["eval_type"] is EvaluatorType.RANKING:
        return
    for key in ("eval_groups", "save_per_user"):
        if config[key]:
            found = f"the metrics {config['metrics']}, which are no ranking metrics"
            refuse(key, config[key], f"no value with {found}")


def load_config_files(
    original: Callable[..., dict[str, Any]],
    config: Config,
    file_list: list[str] | None,
) -> dict[str, Any]:
    """Load configuration files, ready-made ones by name."""
    if file_list:
        file_list = [configuration_file(name) for name in file_list]
    keys: dict[str, Any] = original(config, file_list)
    return keys
