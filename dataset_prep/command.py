"""The command ``recbole-sibrar prepare``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.errors import OptionParser

from .encoding import encoder_options
from .pipeline import encoded_fields
from .pipeline.encoded_fields import Encoder, Encoding, encode_fields, parse_encodings
from .pipeline.entities import SIDES
from .pipeline.filtering import Filters
from .pipeline.locks import locked
from .pipeline.preparation import Kept, Target, choose_fields, prepare
from .pipeline.raw import RawData, RawField
from .pipeline.reporting import Report
from .pipeline.vectors import vector_field
from .pipeline.writing import check_target

CONVERTERS = {
    "ml-1m": "movielens",
    "music4all-onion": "music4all.reader",
    "amazon-2023": "amazon.reader",
    "generic": "generic.reader",
}
"""Name on the command line -> module."""

KEEP_ALL: dict[str, Any] = {
    "k_core": 0,
    "min_rating": None,
    "min_interactions": 1,
    "drop_incomplete": False,
    "keep_users": "all",
    "keep_items": "all",
}
"""What the shared options are where a converter has no value of the papers."""

LONGEST_NAME = 100
"""Characters of the name of a data set; files and folders are named after it, with endings."""

OWN_FOLDER = ("ml-100k",)
"""Data sets that RecBole reads from its own folder whatever ``data_path`` says."""


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run the command.

    Args:
        arguments: Arguments after ``prepare``.
        say: Shows a line or several.

    Returns:
        Exit status.

    Raises:
        DataError: The data or options are not what they should be; nothing is written.
    """
    options, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        known = [f"--{name}" for name in vars(options) if name != "converter"]
        raise DataError(f"there is no option {unknown[0]}{nearest(unknown[0].partition('=')[0], known)}")
    converter = _converter(options.converter)
    folder = options.output_path / options.dataset
    encodings = parse_encodings(options.encode)
    _check(options, folder)
    encoder = Encoder(folder, options.encode_device, options.encode_batch_size, encoder_options.notes_of("prepare"))
    with locked(folder, "--output_path"):
        encoder.load(encodings)
        report = _convert(converter, options, folder, encodings, encoder)
        encoder.forget()
    say(report.summary())
    say(f"written: {folder}, with report.md")
    return 0


def _convert(
    converter: Any, options: argparse.Namespace, folder: Path, encodings: Sequence[Encoding], encoder: Encoder
) -> Report:
    features = {side: [_feature(side, text) for text in getattr(options, f"{side}_feature")] for side in SIDES}
    raw: RawData = converter.read(options.input_path, options)
    encode_fields(raw, encodings, encoder)
    raw.user_fields = choose_fields("user", [*raw.user_fields, *features["user"]], options.user_features)
    raw.item_fields = choose_fields("item", [*raw.item_fields, *features["item"]], options.item_features)
    chosen = tuple(kind for kind in Target.files if getattr(options, f"convert_{kind}"))
    recorded = {name: _plain(value) for name, value in vars(options).items() if name != "converter"}
    target = Target(folder, converter.NAME, recorded, chosen or Target.files)
    filters = Filters(options.min_rating, options.min_interactions, options.k_core)
    kept = Kept(options.keep_users, options.keep_items, options.drop_incomplete)
    try:
        return prepare(raw, filters, kept, target)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from None


def build_parser() -> argparse.ArgumentParser:
    """The options of all converters."""
    parser = OptionParser(
        prog="recbole-sibrar prepare",
        description="Convert a downloaded data set to atomic files with multimodal features.",
        epilog="recbole-sibrar prepare CONVERTER --help shows the options of a converter.",
    )
    commands = parser.add_subparsers(dest="converter", metavar="CONVERTER", required=True)
    for name in CONVERTERS:
        converter = _converter(name)
        about = f"{converter.ABOUT}. Download: {converter.LINK}" if converter.LINK else f"{converter.ABOUT}."
        sub = commands.add_parser(name, help=converter.ABOUT, description=about, allow_abbrev=False)
        add_shared_options(sub, converter.NAME, converter.DEFAULTS)
        converter.add_options(sub.add_argument_group("options of this converter"))
    return parser


def add_shared_options(parser: argparse.ArgumentParser, name: str, of_the_papers: dict[str, Any]) -> None:
    """Add the options that all converters have.

    Args:
        parser: The converter's.
        name: Name of the data set if the user gives none.
        of_the_papers: Values of options in the papers; they are the defaults.
    """

    def default(key: str) -> str:
        value = {**KEEP_ALL, **of_the_papers}[key]
        return f"(default: {'none' if value is None else value}{', as in the papers' * (key in of_the_papers)})"

    parser.set_defaults(**{**KEEP_ALL, **of_the_papers})
    add = parser.add_argument
    add("--input_path", metavar="DIR", type=Path, required=True, help="folder with the downloaded files")
    add("--output_path", metavar="DIR", type=Path, required=True, help="folder for the data set's folder: data_path")
    add("--dataset", metavar="NAME", default=name, help="name of the data set (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace a data set of that name")
    add("--min_rating", metavar="X", type=_rating, help=f"leave out lower ratings {default('min_rating')}")
    least = f"a pair of user and item counts from N events on {default('min_interactions')}"
    add("--min_interactions", metavar="N", type=int, help=least)
    add("--k_core", metavar="N", type=int, help=f"every user and item has N interactions or more {default('k_core')}")
    every = "keep only users and items with a value in every field, as the papers do (default: keep all)"
    add("--drop_incomplete", action="store_true", help=every)
    for side in SIDES:
        which = f"which {side}s to keep: all that the tables have, or only those that the interactions have "
        add(f"--keep_{side}s", choices=("all", "interacted"), help=which + default(f"keep_{side}s"))
        kept = f"fields of the {side}s to keep, separated by commas, or none (default: all)"
        add(f"--{side}_features", metavar="A,B", type=_names, help=kept)
        vectors = f"another field of the {side}s: vectors in a .npz, .npy, .parquet, .tsv or .csv file; repeatable"
        add(f"--{side}_feature", metavar="NAME=FILE", action="append", default=[], help=vectors)
    encoded_fields.add_options(parser)
    for kind in Target.files:
        add(f"--convert_{kind}", action="store_true", help=f"write .{kind}, and not all files")


def _converter(name: str) -> Any:
    return import_module(f"{__package__}.converters.{CONVERTERS[name]}")


def _check(options: argparse.Namespace, folder: Path) -> None:
    """Check what does not need the data, before they are read."""
    name = options.dataset
    if name in OWN_FOLDER:
        raise DataError(f"--dataset: RecBole reads '{name}' from its own folder only; give another name")
    if not name or name.startswith(".") or set(name) & set("/\\ \t\r\n") or len(name) > LONGEST_NAME:
        raise DataError(
            f"--dataset: found {name[:LONGEST_NAME]!r}, allowed is a name of up to {LONGEST_NAME} characters without "
            "spaces, slashes and a dot in front"
        )
    for key, least in (("k_core", 0), ("min_interactions", 1), ("encode_batch_size", 1)):
        if getattr(options, key) < least:
            raise DataError(f"--{key}: found {getattr(options, key)}, allowed is {least} or more")
    if not options.input_path.is_dir():
        raise DataError(f"--input_path: there is no folder {options.input_path}")
    check_target(folder, options.input_path, options.overwrite)


def _feature(side: str, text: str) -> RawField:
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise DataError(f"--{side}_feature: found '{text}', allowed is NAME=FILE")
    return vector_field(name, Path(file))


def _rating(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"found '{text}', allowed is a number or none")
    return number


def _names(text: str) -> list[str] | None:
    if text == "all":
        return None
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def _plain(value: Any) -> Any:
    """A value of an option as JSON knows it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
