"""Arguments shared by several commands."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from recbole_sibrar.config.choices import configuration_file, keys_of_files
from recbole_sibrar.errors import ConfigError

__all__ = [
    "GivenKeys",
    "add_checkpoints",
    "add_config_files",
    "add_data_path",
    "add_dataset",
    "add_modalities",
    "add_model",
    "add_output_folder",
    "add_resources",
    "add_seeds",
    "add_side",
    "check_installed",
    "from_arguments",
    "hide_arguments_from_recbole",
    "option_names",
    "output_folder",
    "parse_overrides",
]

_NO_OPTIONS = frozenset({"command", "keys"})
"""Names of parsed arguments that are not options."""

OptionsT = TypeVar("OptionsT")


def from_arguments(kind: type[OptionsT], args: argparse.Namespace) -> OptionsT:
    """Make a command's options from the parsed arguments of the same names.

    Args:
        kind: A dataclass.
        args: The parsed arguments.
    """
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        values[field.name] = getattr(args, field.name)
    return kind(**values)


def option_names(args: argparse.Namespace) -> Collection[str]:
    """Names of a command's own options."""
    return vars(args).keys() - _NO_OPTIONS


# Arguments of the studies of trained models


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    """Add one or more checkpoints."""
    parser.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="+", help="checkpoint of a training run"
    )


def add_data_path(parser: argparse.ArgumentParser) -> None:
    """Add the present folder of the data."""
    parser.add_argument(
        "--data_path", metavar="DIR", help="folder of the data, if they have moved since training"
    )


def add_side(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the choice between users and items."""
    parser.add_argument("--side", default="item", help=f"{about}: item (default) or user")


def add_modalities(parser: argparse.ArgumentParser, about: str) -> None:
    """Add a list of modalities."""
    parser.add_argument("--modalities", metavar="A,B", help=f"{about} (default: all)")


def add_output_folder(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the folder of the results."""
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=default,
        help="folder of the results (default: %(default)s)",
    )


def add_seeds(parser: argparse.ArgumentParser, default: str, about: str) -> None:
    """Add the number of seeds or random draws."""
    parser.add_argument("--seeds", default=default, help=f"{about} (default: %(default)s)")


# Arguments of the commands that train


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "--model", "-m", help="name of the model (default: from the configuration, else BPR)"
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the data set."""
    parser.add_argument(
        "--dataset",
        "-d",
        help="name of the data set (default: from the configuration, else ml-100k)",
    )


def add_config_files(parser: argparse.ArgumentParser, about: str = "as for run_recbole") -> None:
    """Add the configuration files."""
    parser.add_argument("--config_files", metavar='"FILE ..."', default="", help=about)


def add_resources(parser: argparse.ArgumentParser, option: str, about: str) -> None:
    """Add the resources of a Ray task."""
    parser.add_argument(
        option,
        metavar="cpu=N,gpu=N",
        help=f"{about} (default: one CPU, and one GPU if the cluster has any)",
    )


@dataclass(frozen=True)
class GivenKeys:
    """Configuration keys from files and from the command line."""

    files: list[str]
    """Paths of yaml files; later files override earlier ones."""
    of_files: Mapping[str, Any]
    """Keys of the files."""
    overrides: Mapping[str, str]
    """Keys of the command line, which override the files."""

    @classmethod
    def read(cls, names: Sequence[str], overrides: Mapping[str, str]) -> GivenKeys:
        """Read configuration files.

        Args:
            names: Paths of yaml files, or names of ready-made ones.
            overrides: Keys of the command line.

        Raises:
            ConfigError: A file cannot be read.
        """
        files = [configuration_file(name) for name in names]
        return cls(files, keys_of_files(files), overrides)

    @property
    def values(self) -> dict[str, Any]:
        """All keys."""
        return {**self.of_files, **self.overrides}


def check_installed(option: str, package: str, extra: str) -> None:
    """Check that a package is installed, without importing it.

    Args:
        option: The option that needs it.
        package: Name of the package.
        extra: The extra of this package that has it.

    Raises:
        ConfigError: It is not installed.
    """
    # Ray alone takes seconds to import.
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"{option}: {package} is not installed: pip install 'recbole-sibrar[{extra}]'"
        )


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--key=value`` arguments.

    Args:
        arguments: Arguments of a command line without the command's own options.

    Returns:
        Keys and values, as written.

    Raises:
        ConfigError: An argument has another form (RecBole would ignore it), or a key has two
            values.
    """
    overrides: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.removeprefix("--").partition("=")

        # RecBole ignores such arguments with a line in its log, and trains with the default.
        if not argument.startswith("--") or not equals or not key:
            following = arguments[position + 1] if position + 1 < len(arguments) else "value"
            _refuse_form(argument, key or "key", following)

        if overrides.get(key, value) != value:
            raise ConfigError(
                f"--{key}: found two values, '{overrides[key]}' and '{value}', allowed is one"
            )
        overrides[key] = value

    return overrides


def _refuse_form(argument: str, key: str, following: str) -> None:
    hint = f"write --{key}={following}" if argument.startswith("--") else "write --key=value"
    raise ConfigError(f"'{argument}' has no effect in this form; {hint}")


def hide_arguments_from_recbole() -> None:
    """Remove the arguments from ``sys.argv``."""
    # RecBole's Config would parse them again, by its own rules: it takes every --key=value for a
    # key, the command's own options too, and warns about all others.
    sys.argv = sys.argv[:1]


def output_folder(name: str) -> Path:
    """Make the folder of ``--output``.

    Raises:
        ConfigError: The folder is not writable.
    """
    # Only a try tells whether a file can be written: a run would fail at its end.
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--output: cannot write to {folder}: {error.strerror}") from None
    return folder
