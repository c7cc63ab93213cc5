"""Models, data sets and configuration files of a command line, found without importing RecBole."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from recbole_sibrar.config.keys import OTHER_KEYS, keys_of_baseline
from recbole_sibrar.config.unknown_keys import check_keys
from recbole_sibrar.errors import ConfigError, listed, nearest
from recbole_sibrar.names import BASELINES, MODELS, OWN_MODELS

RATES = "0,0.25,0.5,0.75,1"
"""Rates of loss in a study of missing modalities, as written on the command line."""

TRAINING_RATES = "0,0.25,0.5,0.75"
"""Shares of values hidden before training, as written on the command line; a model needs some."""

_MISSPELT_OPTION = 0.79
"""Similarity above which a key counts as a misspelt option: two swapped letters in five."""

_DEFAULTS = {"model": "BPR", "dataset": "ml-100k"}


def properties() -> Path:
    """Return the folder of our default configurations."""
    return Path(str(files("recbole_sibrar.properties")))


def recbole_folder() -> Path:
    """Return the folder of RecBole.

    Raises:
        ConfigError: RecBole is not installed.
    """
    spec = find_spec("recbole")
    if spec is None or spec.origin is None:
        raise ConfigError("RecBole is not installed: pip install recbole==1.2.1")
    return Path(spec.origin).parent


def ready_made_configurations() -> dict[str, Path]:
    """Find the plugin's own configuration files, for their names in ``config_files``."""
    files = sorted((properties() / "quick_start_config").glob("*.yaml"))
    return {file.stem: file for file in files}


def configuration_file(name: str) -> str:
    """Return the path of a configuration file, given by path or by the name of a ready-made one.

    Raises:
        ConfigError: It is neither a file nor such a name.
    """
    known = ready_made_configurations()
    # a name with a suffix is a file, whose reading fails if it does not exist
    if Path(name).is_file() or Path(name).suffix:
        return name

    if name not in known:
        raise ConfigError(
            f"config_files: found '{name}', allowed are files and the ready-made {listed(known, name)}"
        )
    return str(known[name])


def keys_of_files(paths: Sequence[str]) -> dict[str, Any]:
    """Read the keys of yaml files; later files override earlier ones.

    Raises:
        ConfigError: A file cannot be read, or holds no keys.
    """
    keys: dict[str, Any] = {}
    for file in paths:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            found = f"cannot read {file}: {error.strerror}"
            raise ConfigError(f"--config_files: {found}") from None
        except (yaml.YAMLError, UnicodeError) as error:
            # the message of yaml has several lines
            found = " ".join(str(error).split())
            raise ConfigError(f"--config_files: {file} is not yaml: {found}") from None

        if not isinstance(content, dict):
            found = f"has to hold lines 'key: value', found {content!r}"
            raise ConfigError(f"--config_files: {file} {found}")
        keys.update(content)
    return keys


@functools.cache
def keys_of_recbole() -> frozenset[str]:
    """Collect the keys with a default in RecBole or any of its models."""
    folder = recbole_folder() / "properties"
    files = [*folder.glob("*/*.yaml"), folder / "overall.yaml"]

    found: set[str] = set()
    for file in files:
        # url.yaml and kg_url.yaml hold names of data sets, not keys
        if not file.stem.endswith("url"):
            found.update(_keys(file.read_text(encoding="utf-8")))
    return frozenset(found)


def _keys(text: str) -> list[str]:
    """Find the keys of a text in yaml."""
    # reading the files of all models as yaml would take a second
    return re.findall(r"^([\w-]+)\s*:", text, re.MULTILINE)


def check_names(given: Mapping[str, Any], model: str, options: Collection[str] = ()) -> None:
    """Check for misspelt keys of ours, without importing RecBole.

    Args:
        given: The keys of the user and their values.
        model: Name of the model.
        options: Options of the command itself: a key may be a misspelt option.

    Raises:
        ConfigError: A key looks like a misspelt one.
    """
    general = _keys((properties() / "overall.yaml").read_text(encoding="utf-8"))
    known = {*general, *OTHER_KEYS, *keys_of_recbole()}
    if model in OWN_MODELS:
        file = properties() / "model" / f"{model}.yaml"
        known.update(_keys(file.read_text(encoding="utf-8")))

    for key in given:
        hint = nearest(key, options, _MISSPELT_OPTION) if key not in known else ""
        if hint:
            raise ConfigError(f"--{key}: unknown option{hint}")

    own = keys_of_baseline(model) if model in BASELINES else ()
    check_keys(given, known.union(own), model in MODELS, [*general, *own], keys_of_recbole())


def model_names() -> list[str]:
    """List the names of all models, ours first."""
    # Text, not modules: importing RecBole takes seconds. RecBole itself finds a model by the name
    # of its file, which is that of the class in small letters.
    names: set[str] = set()
    for file in (recbole_folder() / "model").glob("*_recommender/*.py"):
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"^class (\w+)\(", text, re.MULTILINE):
            if name.lower() == file.stem:
                names.add(name)

    return [*OWN_MODELS, *sorted(names.difference(OWN_MODELS))]


def check_model(model: str) -> None:
    """Check the name of a model.

    Raises:
        ConfigError: There is none.
    """
    names = model_names()
    if model not in names:
        hint = nearest(str(model), names)
        raise ConfigError(
            f"--model: found '{model}', allowed is any model that run_recbole --help lists{hint}"
        )


def chosen(
    option: str,
    args: argparse.Namespace,
    overrides: Mapping[str, Any],
    keys_of_files: Mapping[str, Any],
) -> str:
    """Choose the name of the model or of the data set.

    An option overrides the keys of the command line, and these those of files.

    Args:
        option: ``model`` or ``dataset``.
        args: Options of a command.
        overrides: Keys of its command line.
        keys_of_files: Keys of its configuration files.
    """
    by_default = keys_of_files.get(option, _DEFAULTS[option])
    name: str = getattr(args, option) or overrides.get(option) or by_default
    return name
