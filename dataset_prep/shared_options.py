"""Shared options of all converters."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from recbole_sibrar.names import SIDES, Side

from .further_tables import option as further_tables
from .lists import parts_of
from .pipeline import encode_option

KEEP_ALL: dict[str, object] = {
    "k_core": 0,
    "min_rating": None,
    "min_interactions": 1,
    "drop_incomplete": False,
    "keep_users": "all",
    "keep_items": "all",
}
"""Defaults of the shared options for a converter without its own."""

FILE_KINDS = ("inter", "user", "item")
"""Endings of the atomic files."""


def add_shared_options(
    parser: argparse.ArgumentParser, name: str, of_the_papers: Mapping[str, object]
) -> None:
    """Add the shared options.

    Args:
        parser: Parser of one converter.
        name: Name of the data set if the user gives none.
        of_the_papers: Defaults of the converter: the values in the papers.
    """
    defaults = {**KEEP_ALL, **of_the_papers}
    shown = {key: _shown(value, key in of_the_papers) for key, value in defaults.items()}

    # Before the options: those without a default of their own take theirs from here.
    parser.set_defaults(**defaults)

    _add_paths(parser, name)
    _add_filters(parser, shown)
    for side in SIDES:
        _add_side(parser, side, shown)
    encode_option.add_options(parser)
    for kind in FILE_KINDS:
        parser.add_argument(
            f"--convert_{kind}", action="store_true", help=f"write .{kind}, and not all files"
        )


def _shown(default: object, is_of_the_papers: bool) -> str:
    """Describe a default for the help."""
    value = "none" if default is None else default
    source = ", as in the papers" if is_of_the_papers else ""
    return f"(default: {value}{source})"


def _add_paths(parser: argparse.ArgumentParser, name: str) -> None:
    add = parser.add_argument
    add(
        "--input_path",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder with the downloaded files",
    )
    add(
        "--output_path",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for the data set's folder: data_path",
    )

    add(
        "--dataset",
        metavar="NAME",
        default=name,
        help="name of the data set (default: %(default)s)",
    )
    add("--overwrite", action="store_true", help="replace a data set of that name")


def _add_filters(parser: argparse.ArgumentParser, shown: Mapping[str, str]) -> None:
    add = parser.add_argument
    add(
        "--min_rating",
        metavar="X",
        type=_rating,
        help=f"leave out lower ratings {shown['min_rating']}",
    )
    add(
        "--min_interactions",
        metavar="N",
        type=int,
        help=f"a pair of user and item counts from N events on {shown['min_interactions']}",
    )

    add(
        "--k_core",
        metavar="N",
        type=int,
        help=f"every user and item has N interactions or more {shown['k_core']}",
    )
    add(
        "--drop_incomplete",
        action="store_true",
        help="keep only users and items with a value in every field, as the papers do (default: "
        "keep all)",
    )


def _add_side(parser: argparse.ArgumentParser, side: Side, shown: Mapping[str, str]) -> None:
    """Add the options for the users or for the items."""
    add = parser.add_argument
    add(
        f"--keep_{side}s",
        choices=("all", "interacted"),
        help=f"{side}s to keep: all {side}s of the tables, or only those with interactions "
        f"{shown[f'keep_{side}s']}",
    )

    add(
        f"--{side}_features",
        metavar="A,B",
        type=_names,
        help=f"fields of the {side}s to keep, separated by commas, or none (default: all)",
    )
    add(
        f"--{side}_feature",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help=f"another field of the {side}s: vectors in a .npz, .npy, .parquet, .tsv or .csv file; "
        "repeatable",
    )
    further_tables.add_option(parser, side)


def _rating(text: str) -> float | None:
    """Parse a rating; None for ``none``."""
    if text.lower() == "none":
        return None

    # Python reads "nan" and "inf" as numbers; they are refused below.
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"found '{text}', allowed is a number or none")
    return number


def _names(text: str) -> list[str] | None:
    """Parse names of fields; None for all of them."""
    if text == "all":
        return None
    return [] if text == "none" else parts_of(text)
