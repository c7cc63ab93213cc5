"""Every command has the same shape, so that a new one can be written like any other."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from recbole_sibrar import cli
from recbole_sibrar.cli import options as shared
from recbole_sibrar.errors import ConfigError

OWN = {
    name: command
    for name, command in {**cli.PROGRAMS, **cli.COMMANDS}.items()
    if command.module.startswith("cli.")
}


@pytest.fixture(params=OWN)
def module(request: pytest.FixtureRequest) -> ModuleType:
    """The module of a command."""
    return import_module(f"recbole_sibrar.{OWN[request.param].module}")


def test_options_are_frozen(module: ModuleType) -> None:
    assert dataclasses.is_dataclass(module.Options)
    assert module.Options.__dataclass_params__.frozen


def test_run_takes_parsed_arguments(module: ModuleType) -> None:
    assert list(inspect.signature(module.run).parameters) == ["args"]
    assert list(inspect.signature(module.add_arguments).parameters) == ["parser"]


def test_every_option_has_a_help(module: ModuleType) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    for action in parser._actions:
        assert action.help


def test_options_have_the_names_of_arguments() -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        side: str
        modalities: str | None

    parser = argparse.ArgumentParser()
    shared.add_side(parser, "side")
    shared.add_modalities(parser, "modalities")
    args = parser.parse_args(["--modalities=text,id"])
    assert shared.from_arguments(Options, args) == Options("item", "text,id")


def test_given_keys_override_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("epochs: 5\nseed: 1\n", encoding="utf-8")
    given = shared.GivenKeys.read([str(file)], {"epochs": "7"})
    assert given.values == {"epochs": "7", "seed": 1}


def test_output_folder_must_be_writable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="--output: cannot write to"):
        shared.output_folder(str(file / "folder"))
