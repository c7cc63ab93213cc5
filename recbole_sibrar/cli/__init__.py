"""The commands: ``run_recbole`` and its like with RecBole's own options, ``recbole-sibrar`` for all others.

A command is a module with ``add_arguments(parser)`` and ``run(args)``, which is imported when it is chosen. What takes
long to import, such as torch and RecBole, is imported within ``run``, after the options have been checked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from recbole_sibrar.cli.common import FAILED, INTERRUPTED, WRONG_INPUT, parse_overrides, reporting, wants_traceback
from recbole_sibrar.errors import OptionParser, nearest, refuse

__all__ = [
    "COMMANDS",
    "FAILED",
    "INTERRUPTED",
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
    """A command of ``recbole-sibrar``."""

    module: str
    """Module with ``add_arguments(parser)`` and ``run(args)``, or with ``main(arguments, say)``."""
    about: str
    """One line about it, for the help."""


COMMANDS = {
    "doctor": Command("cli.doctor", "show versions, repairs and devices, and train a small model as a test"),
    "missing": Command("cli.missing", "evaluate trained models with missing modalities, without training them again"),
    "gap": Command(
        "cli.gap",
        "measure how far apart trained models put the modalities of the same item, with tables and figures",
    ),
    "significance": Command("cli.significance", "compare models by the results of their users, with paired tests"),
    "report": Command(
        "cli.report", "one HTML page, and figures as PDF and PNG, about a comparison of run_recbole_group"
    ),
    "encode-text": Command("dataset_prep.encoding.encode_text", "turn texts into vectors by a sentence transformer"),
    "encode-image": Command(
        "dataset_prep.encoding.encode_image", "turn images into vectors by a network of timm or torchvision"
    ),
    "prepare": Command(
        "dataset_prep.command", "convert a downloaded data set to atomic files with multimodal features"
    ),
}
"""Name -> command, in the order of the help."""


def run_recbole(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole``: train and test one model.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status.
    """
    return _with_keys("run_recbole", "run", argv)


def run_recbole_group(argv: Sequence[str] | None = None) -> int:
    """The command ``run_recbole_group``: train and test several models on the same parts, and compare them.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0, or 1 if a run has failed.
    """
    return _with_keys("run_recbole_group", "group", argv)


def run_hyper(argv: Sequence[str] | None = None) -> int:
    """The command ``run_hyper``: search the values of keys with which a model does best on the validation part.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status: 0, or 1 if all trials have failed.
    """
    return _with_keys("run_hyper", "hyper", argv)


def _with_keys(program: str, name: str, argv: Sequence[str] | None) -> int:
    """Run a command whose arguments can be keys of the configuration beside its own options."""
    command = import_module(f"{__name__}.{name}")
    arguments = list(sys.argv[1:] if argv is None else argv)

    def run() -> int:
        args, rest = command.parser().parse_known_args(arguments)
        return command.run(args, rest)

    return reporting(program, run, wants_traceback(arguments))


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``recbole-sibrar``.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        Exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in COMMANDS:
        return reporting("recbole-sibrar", lambda: _help(arguments), wants_traceback(arguments))

    name, *rest = arguments
    module = import_module(f"recbole_sibrar.{COMMANDS[name].module}")
    program, debug = f"recbole-sibrar {name}", wants_traceback(rest)
    if hasattr(module, "main"):
        return reporting(program, lambda: module.main(rest, print), debug)

    def run() -> int:
        parser = OptionParser(prog=program, description=COMMANDS[name].about, allow_abbrev=False)
        module.add_arguments(parser)
        parser.set_defaults(command=name)
        return module.run(parser.parse_args(rest))

    return reporting(program, run, debug)


def _help(arguments: Sequence[str]) -> int:
    """Show the commands, or say that there is none of that name."""
    parser = OptionParser(prog="recbole-sibrar", description="Tools of the RecBole plugin for SiBraR.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.about)

    if arguments and not arguments[0].startswith("-"):
        refuse("COMMAND", arguments[0], f"one of {', '.join(COMMANDS)}{nearest(arguments[0], COMMANDS)}")
    parser.parse_args(arguments)
    return 0
