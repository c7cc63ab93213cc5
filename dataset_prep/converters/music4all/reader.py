"""Reading of the downloaded files of Music4All-Onion."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side

from ...further_tables.option import field_names
from ...pipeline.encode_option import of_side, parse_encodings
from ...pipeline.preparation import choose_fields
from ...pipeline.raw import RawData, RawField
from ...readers.stream_tables import open_table
from ...readers.streams import find_file
from .converter import INTERACTION_FILES
from .demographics import COLUMNS, demographic_fields
from .listens import read_counts, read_events
from .track_features import check_feature_header, feature_fields


def read(input_path: Path, options: argparse.Namespace, link: str) -> RawData:
    """Read the downloaded files.

    Args:
        input_path: The folder. Of an unpacked and a compressed copy of a file, the unpacked one is
            read.
        options: Options of the converter, and the shared ones about fields.
        link: Address of the download, for messages.

    Returns:
        One interaction for each pair of a user and a track, with its ``count`` and, from events,
        the ``timestamp`` of the earliest.

    Raises:
        DataError: There are no interactions, or a file has a wrong value.
    """
    # Options and headers are checked before the interactions, whose reading takes minutes.
    _check(options)
    path = _interactions_file(input_path, options.interactions, link)
    user_fields, item_fields, notes = _fields(input_path, options)

    # The file may be compressed, with an ending behind this name.
    if path.name.startswith(INTERACTION_FILES["events"]):
        listens = read_events(path, options.year)
    else:
        listens = read_counts(path)
        notes.append(
            f"{path.name} has no times: --year does not apply, and there are no timestamps."
        )
    return RawData(
        listens.inter, user_fields, item_fields, listens.steps, notes, raw_ids=listens.raw_ids
    )


def _check(options: argparse.Namespace) -> None:
    low, high = options.age_range
    if not 0 <= low <= high:
        raise DataError(
            f"--age_range: found {low:g} {high:g}, allowed are two ages, the lower first"
        )
    if options.countries < 0:
        raise DataError(f"--countries: found {options.countries}, allowed is 0 or more")


def _interactions_file(folder: Path, kind: str | None, link: str) -> Path:
    """Find the file of events or counts; the first existing one if no kind is given."""
    names = [INTERACTION_FILES[kind]] if kind else list(INTERACTION_FILES.values())
    path = find_file(folder, *names)
    if path is None:
        raise DataError(
            f"--input_path: {folder} has no {' or '.join(names)}, plain or .bz2; download it from "
            f"{link}"
        )
    return path


def _fields(
    folder: Path, options: argparse.Namespace
) -> tuple[list[RawField], list[RawField], list[str]]:
    """Choose the fields of users and items, and check the headers of their files."""
    users = find_file(folder, "users.tsv")
    all_user_fields: list[RawField] = []
    if users:
        all_user_fields = demographic_fields(users, tuple(options.age_range), options.countries)
    user_fields = _chosen("user", all_user_fields, options)
    item_fields = _chosen("item", feature_fields(folder), options)

    for field in item_fields:
        check_feature_header(folder / field.source)
    if users and user_fields:
        open_table(users, COLUMNS)

    notes = [] if users else ["There is no users.tsv: the users have no demographics."]
    return user_fields, item_fields, notes


def _chosen(side: Side, fields: Sequence[RawField], options: argparse.Namespace) -> list[RawField]:
    """Choose the fields to keep or encode; the fields of other options are unknown here."""
    wanted = getattr(options, f"{side}_features")
    if wanted is None:
        return choose_fields(side, fields, None)

    encoded = of_side(parse_encodings(options.encode), side)
    added = field_names(options, side)
    added.update(encoding.name for encoding in encoded)
    for text in getattr(options, f"{side}_feature"):
        added.add(text.partition("=")[0])

    # The texts of an encoded field are needed, even if they are no fields themselves.
    names = list(wanted)
    for encoding in encoded:
        names += encoding.columns
    return choose_fields(side, fields, [name for name in names if name not in added])
