"""Conversion of one data set by the options of ``prepare``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import locked
from recbole_sibrar.names import SIDES

from ..converters import Converter
from ..encoding import environment
from ..further_tables.option import FurtherTable, tables_of
from ..further_tables.reading import add_tables
from ..shared_options import FILE_KINDS
from .encode_option import Encoding
from .encoded_fields import Encoder, encode_fields
from .filtering import Filters
from .preparation import Kept, Target, choose_fields, prepare
from .raw import RawField
from .reporting import Report
from .vectors import vector_field
from .writing import check_target


def convert(
    converter: Converter, options: argparse.Namespace, encodings: Sequence[Encoding]
) -> tuple[Report, Path]:
    """Convert a data set to a folder of atomic files.

    Args:
        converter: Reads the data set.
        options: Options of ``prepare``.
        encodings: Values of ``--encode``.

    Returns:
        The report, and the folder.

    Raises:
        DataError: The data or options are wrong; nothing is written.
    """
    folder = options.output_path / options.dataset
    check_target(folder, options.input_path, options.overwrite)

    note = environment.notes_of("prepare")
    encoder = Encoder(folder, options.encode_device, options.encode_batch_size, note)

    # Two commands would write the same temporary folder.
    with locked(folder, "--output_path"):
        encoder.load(encodings)
        report = _convert(converter, options, folder, encodings, encoder)

        # After a failure the finished blocks stay, for the next try.
        encoder.forget()
    return report, folder


def _convert(
    converter: Converter,
    options: argparse.Namespace,
    folder: Path,
    encodings: Sequence[Encoding],
    encoder: Encoder,
) -> Report:
    # Wrong options fail before the data are read, which can take minutes.
    features: dict[str, list[RawField]] = {}
    tables: list[FurtherTable] = []
    for side in SIDES:
        features[side] = [_feature(side, text) for text in getattr(options, f"{side}_feature")]
        tables += tables_of(options, side)

    # Fields are encoded before the others are chosen: their vectors can be chosen by name.
    raw = converter.read(options.input_path, options)
    add_tables(raw, tables)
    encode_fields(raw, encodings, encoder)
    raw.user_fields = choose_fields(
        "user", [*raw.user_fields, *features["user"]], options.user_features
    )
    raw.item_fields = choose_fields(
        "item", [*raw.item_fields, *features["item"]], options.item_features
    )

    filters = Filters(options.min_rating, options.min_interactions, options.k_core)
    kept = Kept(options.keep_users, options.keep_items, options.drop_incomplete)
    try:
        return prepare(raw, filters, kept, _target(converter, options, folder))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from None


def _feature(side: str, text: str) -> RawField:
    """Make the field of ``--item_feature`` or ``--user_feature``."""
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise DataError(f"--{side}_feature: found '{text}', allowed is NAME=FILE")
    return vector_field(name, Path(file))


def _target(converter: Converter, options: argparse.Namespace, folder: Path) -> Target:
    chosen = tuple(kind for kind in FILE_KINDS if getattr(options, f"convert_{kind}"))
    recorded = {name: _plain(value) for name, value in vars(options).items() if name != "converter"}
    return Target(folder, converter.name, recorded, chosen or FILE_KINDS)


def _plain(value: object) -> object:
    """Write the value of an option as JSON knows it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
