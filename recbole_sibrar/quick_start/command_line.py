"""What the commands share: reading options, and ending in one line where they are wrong."""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import recbole
import yaml

from recbole_sibrar.config import ConfigError
from recbole_sibrar.plugin import MODELS
from recbole_sibrar.quick_start.processes import ProcessError
from recbole_sibrar.quick_start.variants import nearest_model

WRONG_INPUT = 2
"""Exit status after wrong input, as argparse has it."""

FAILED = 1
"""Exit status after a failure that is not about the input."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

_DEFAULTS = {"model": "BPR", "dataset": "ml-100k"}


def model_names() -> list[str]:
    """Names of all models, ours first."""
    names: set[str] = set()
    for file in (Path(recbole.__path__[0]) / "model").glob("*_recommender/*.py"):
        classes = re.findall(r"^class (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
        names.update(name for name in classes if name.lower() == file.stem)
    return [*MODELS, *sorted(names.difference(MODELS))]


def check_model(model: str) -> None:
    """Check that there is a model of that name.

    Raises:
        ConfigError: There is none.
    """
    if model not in model_names():
        hint = nearest_model(model, model_names())
        raise ConfigError(f"--model: found '{model}', allowed is any model that run_recbole --help lists{hint}")


def chosen(
    option: str, args: argparse.Namespace, overrides: Mapping[str, Any], keys_of_files: Mapping[str, Any]
) -> str:
    """The name of the model or of the data set: that of the option, else of the keys, else the default.

    Args:
        option: ``model`` or ``dataset``.
        args: The options of a command.
        overrides: Keys of its command line.
        keys_of_files: Those of its configuration files.
    """
    return getattr(args, option) or overrides.get(option) or keys_of_files.get(option, _DEFAULTS[option])


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--key=value`` arguments.

    Args:
        arguments: What is left of a command line when its own options are taken out.

    Returns:
        Key -> value as it was written.

    Raises:
        ConfigError: An argument has another form, which RecBole would ignore, or a key has two values.
    """
    overrides: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or not key:
            following = arguments[position + 1] if position + 1 < len(arguments) else "value"
            key = key or "key"
            hint = f"write --{key}={following}" if argument.startswith("--") else "write --key=value"
            raise ConfigError(f"'{argument}' has no effect in this form; {hint}")
        if overrides.get(key, value) != value:
            raise ConfigError(f"--{key}: found two values, '{overrides[key]}' and '{value}', allowed is one")
        overrides[key] = value
    return overrides


def keys_of_files(files: Sequence[str]) -> dict[str, Any]:
    """The keys of yaml files, checked so far that RecBole can read them."""
    keys: dict[str, Any] = {}
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"--config_files: cannot read {file}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"--config_files: {file} is not yaml: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"--config_files: {file} has to hold lines 'key: value', found {content!r}")
        keys.update(content)
    return keys


def output_folder(name: str) -> Path:
    """The folder of ``--output``, made if it does not exist.

    Raises:
        ConfigError: It cannot be written to.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--output: cannot write to {folder}: {error.strerror}") from None
    return folder


def reporting(program: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command; wrong input ends in one line on standard error instead of a traceback."""
    try:
        return command()
    except KeyboardInterrupt as error:
        sys.last_value = error
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except (ValueError, NotImplementedError, OSError, ProcessError) as error:
        sys.last_value = error  # as the interpreter has it: who runs at the exit can tell that something has failed
        if debug:
            traceback.print_exc()
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return FAILED if isinstance(error, ProcessError) else WRONG_INPUT
