"""The command ``recbole-sibrar prepare``: options, and checks before any data are read.

The modules imported here are light. Reading and writing are imported after the checks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from recbole_sibrar.errors import DataError, OptionParser, nearest

from .converters import CONVERTERS
from .pipeline.encode_option import parse_encodings
from .shared_options import add_shared_options

LONGEST_NAME = 100
"""Characters of the name of a data set; files and folders are named after it, with endings."""

OWN_FOLDER = ("ml-100k",)
"""Data sets in RecBole's own folder. RecBole reads them there for any ``data_path``."""

LEAST_VALUES = {"k_core": 0, "min_interactions": 1, "encode_batch_size": 1}
"""Option -> its least value."""


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run the command.

    Args:
        arguments: Arguments after ``prepare``.
        say: Prints text for the user.

    Returns:
        Exit status.

    Raises:
        DataError: The data or options are wrong; nothing is written.
    """
    options = _parse(arguments)
    encodings = parse_encodings(options.encode)
    _check(options)

    # After the checks, since it imports pandas and Arrow.
    from .pipeline.conversion import convert

    report, folder = convert(CONVERTERS[options.converter], options, encodings)
    say(report.summary())
    say(f"written: {folder}, with report.md")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Make a parser with the options of all converters."""
    parser = OptionParser(
        prog="recbole-sibrar prepare",
        description="Convert a downloaded data set to atomic files with multimodal features.",
        epilog="recbole-sibrar prepare CONVERTER --help shows the options of a converter.",
    )
    commands = parser.add_subparsers(dest="converter", metavar="CONVERTER", required=True)

    for name, converter in CONVERTERS.items():
        about = f"{converter.about}."
        if converter.link:
            about += f" Download: {converter.link}"
        sub = commands.add_parser(name, help=converter.about, description=about, allow_abbrev=False)
        add_shared_options(sub, name, converter.defaults)
        converter.add_options(sub.add_argument_group("options of this converter"))
    return parser


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse all arguments; an unknown option is answered with the nearest known one."""
    options, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        name = unknown[0].partition("=")[0]
        known = [f"--{option}" for option in vars(options) if option != "converter"]
        raise DataError(f"there is no option {unknown[0]}{nearest(name, known)}")
    return options


def _check(options: argparse.Namespace) -> None:
    """Check names, numbers and the input folder before any data are read."""
    name = options.dataset
    if name in OWN_FOLDER:
        raise DataError(
            f"--dataset: RecBole reads '{name}' from its own folder only; give another name"
        )

    # Folders and files get this name; those with a dot in front are temporary.
    has_wrong_character = bool(set(name) & set("/\\ \t\r\n"))
    if not name or name.startswith(".") or has_wrong_character or len(name) > LONGEST_NAME:
        raise DataError(
            f"--dataset: found {name[:LONGEST_NAME]!r}, allowed is a name of up to {LONGEST_NAME} "
            "characters without spaces, slashes and a dot in front"
        )

    for key, least in LEAST_VALUES.items():
        value = getattr(options, key)
        if value < least:
            raise DataError(f"--{key}: found {value}, allowed is {least} or more")

    if not options.input_path.is_dir():
        raise DataError(f"--input_path: there is no folder {options.input_path}")
