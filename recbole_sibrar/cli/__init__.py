"""Commands: ``recbole-sibrar``, and the programs with RecBole's options.

A command is a module with ``add_arguments(parser)``, a frozen dataclass ``Options`` and
``run(args) -> int``. It is imported when it is chosen. Slow imports, such as torch and RecBole,
belong inside ``run``, after the options have been checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from recbole_sibrar.cli.options import parse_overrides
from recbole_sibrar.cli.reporting import (
    FAILED,
    INTERRUPTED,
    WRONG_INPUT,
    reporting,
    wants_traceback,
)
from recbole_sibrar.errors import OptionParser, listed, refuse

__all__ = [
    "COMMANDS",
    "FAILED",
    "INTERRUPTED",
    "PROGRAMS",
    "WRONG_INPUT",
    "Command",
    "main",
    "parse_overrides",
    "run_hyper",
    "run_recbole",
    "run_recbole_group",
]


@dataclass(frozen=True)
class Command:
    """A command."""

    module: str
    """Module with ``add_arguments(parser)`` and ``run(args)``."""
    about: str
    """One line for the help."""
    takes_keys: bool = False
    """Accept ``--key=value`` for any key of the configuration, as ``args.keys``."""


PROGRAMS = {
    "run_recbole": Command(
        "cli.run", "Train a model on a data set and test it, like RecBole's run_recbole.py.", True
    ),
    "run_recbole_group": Command(
        "cli.group",
        "Train and test several models on the same split of a data set, and compare them.",
        True,
    ),
    "run_hyper": Command(
        "cli.hyper",
        "Search the hyperparameters with the best validation score of a model on a data set.",
        True,
    ),
}
"""Programs with RecBole's options."""

COMMANDS = {
    "doctor": Command(
        "cli.doctor", "show versions, repairs and devices, and train a small model as a test"
    ),
    "missing": Command(
        "cli.missing",
        "evaluate trained models with missing modalities, without training them again",
    ),
    "incomplete": Command(
        "cli.incomplete",
        "train models on data with hidden values, by the way of filling them in",
        True,
    ),
    "gap": Command(
        "cli.gap",
        "measure the distance between the modalities of an item in trained models, with tables "
        "and figures",
    ),
    "significance": Command(
        "cli.significance", "compare models by the results of their users, with paired tests"
    ),
    "report": Command(
        "cli.report",
        "make an HTML page, and figures as PDF and PNG, of a run_recbole_group comparison",
    ),
    "export": Command(
        "cli.serving.export",
        "write a trained model as a portable one, used without RecBole and the data",
    ),
    "recommend": Command(
        "cli.serving.recommend", "recommend items to users of a file, new ones too, or to all"
    ),
    "encode": Command(
        "cli.serving.encode", "turn users or items of a file, new ones too, into vectors"
    ),
    "similar": Command(
        "cli.serving.similar", "find the items most similar to an item, known or new"
    ),
    "audience": Command(
        "cli.serving.audience", "find the users who would like an item most, known or new"
    ),
    "serve": Command(
        "cli.serving.serve", "serve a portable model over HTTP, with a page to explore it"
    ),
    "encode-text": Command(
        "dataset_prep.encoding.encode_text", "turn texts into vectors by a sentence transformer"
    ),
    "encode-image": Command(
        "dataset_prep.encoding.encode_image",
        "turn images into vectors by a network of timm or torchvision",
    ),
    "prepare": Command(
        "dataset_prep.command",
        "convert a downloaded data set to atomic files with multimodal features",
    ),
}
"""Commands of ``recbole-sibrar``, in the order of the help."""


def run_recbole(argv: Sequence[str] | None = None) -> int:
    """Run the program ``run_recbole``: train and test one model.

    Args:
        argv: Arguments without the program's name; None for ``sys.argv``.

    Returns:
        Exit status.
    """
    return _run_program("run_recbole", argv)


def run_recbole_group(argv: Sequence[str] | None = None) -> int:
    """Run the program ``run_recbole_group``: train, test and compare models on the same split.

    Args:
        argv: Arguments without the program's name; None for ``sys.argv``.

    Returns:
        Exit status: 0, or 1 if a run has failed.
    """
    return _run_program("run_recbole_group", argv)


def run_hyper(argv: Sequence[str] | None = None) -> int:
    """Run the program ``run_hyper``: search the hyperparameters of a model.

    Args:
        argv: Arguments without the program's name; None for ``sys.argv``.

    Returns:
        Exit status: 0, or 1 if all trials have failed.
    """
    return _run_program("run_hyper", argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program ``recbole-sibrar``.

    Args:
        argv: Arguments without the program's name; None for ``sys.argv``.

    Returns:
        Exit status.
    """
    arguments = _arguments(argv)

    # The help, and wrong commands: no command is imported for them.
    if not arguments or arguments[0] not in COMMANDS:
        return reporting("recbole-sibrar", lambda: _help(arguments), wants_traceback(arguments))

    name, *rest = arguments
    command = COMMANDS[name]
    return _reported(f"recbole-sibrar {name}", command, rest, name)


def _run_program(name: str, argv: Sequence[str] | None) -> int:
    return _reported(name, PROGRAMS[name], _arguments(argv), name)


def _arguments(argv: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if argv is None else argv)


def _reported(program: str, command: Command, arguments: Sequence[str], name: str) -> int:
    """Import a command and run it; a failure ends in one line."""
    module = import_module(f"recbole_sibrar.{command.module}")

    def run() -> int:
        # The options of prepare depend on its converter, so that it has a parser of its own.
        own: Callable[..., int] | None = getattr(module, "main", None)
        if own is not None:
            return own(arguments, print)
        return _parse_and_run(program, module, command, arguments, name)

    return reporting(program, run, wants_traceback(arguments))


def _parse_and_run(
    program: str, module: ModuleType, command: Command, arguments: Sequence[str], name: str
) -> int:
    # Without abbreviations: a key such as --data would be taken for --dataset.
    parser = OptionParser(prog=program, description=command.about, allow_abbrev=False)
    module.add_arguments(parser)

    # The encoders start their notes with the name.
    parser.set_defaults(command=name)

    # The commands check the keys: the allowed ones depend on the model.
    if command.takes_keys:
        args, keys = parser.parse_known_args(arguments)
        args.keys = keys
    else:
        args = parser.parse_args(arguments)

    status: int = module.run(args)
    return status


def _help(arguments: Sequence[str]) -> int:
    """Show the commands, or refuse an unknown one."""
    parser = OptionParser(
        prog="recbole-sibrar", description="Tools of the RecBole plugin for SiBraR."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.about)

    # argparse would list the allowed names without the nearest one.
    if arguments and not arguments[0].startswith("-"):
        found = arguments[0]
        refuse("COMMAND", found, f"one of {listed(COMMANDS, found)}")
    parser.parse_args(arguments)
    return 0
