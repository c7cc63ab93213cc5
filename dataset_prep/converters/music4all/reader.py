"""Music4All-Onion: one year of listening events or all play counts, features of tracks, demographics of users."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from recbole_sibrar.data.atomic import DataError

from ...pipeline.encoded_fields import parse_encodings
from ...pipeline.preparation import choose_fields
from ...pipeline.raw import RawData, RawField
from ...readers.stream_tables import open_table
from ...readers.streams import find_file
from .demographics import COLUMNS, demographic_fields
from .listens import read_counts, read_events
from .track_features import check_feature_header, feature_fields

NAME = "music4all-onion"
"""Name on the command line and of the data set."""
ABOUT = "Music4All-Onion: listening events or play counts, id_*.tsv features of tracks, users.tsv; .bz2 or unpacked"
"""What the converter reads, in a line."""
LINK = "https://zenodo.org/records/15394646"
"""Where to download the data set."""
DEFAULTS: dict[str, Any] = {
    "k_core": 5,
    "min_interactions": 2,
    "keep_users": "interacted",
    "keep_items": "interacted",
}
"""Shared options in which the papers differ from keeping everything."""

FILES = {"events": "userid_trackid_timestamp.tsv", "counts": "userid_trackid_count.tsv"}
"""Kinds of interactions and their files."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this converter."""
    year = "keep events of this year (UTC), or all (default: %(default)s, as in the papers)"
    parser.add_argument("--year", metavar="YEAR", type=_year, default=2018, help=year)
    kind = f"what to read: {FILES['events']} or {FILES['counts']} (default: the first that is there)"
    parser.add_argument("--interactions", choices=list(FILES), help=kind)
    ages = "younger and older users have no age (default: 10 80, as in the papers)"
    parser.add_argument("--age_range", metavar=("FROM", "TO"), nargs=2, type=float, default=[10, 80], help=ages)
    countries = "keep the N most frequent countries, the others are missing; 0 keeps all (default: %(default)s, as in "
    parser.add_argument("--countries", metavar="N", type=int, default=10, help=f"{countries}the papers)")


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the downloaded files.

    Args:
        input_path: The folder; a file that is there unpacked and compressed is read unpacked.
        options: Values of what :func:`add_options` adds.

    Returns:
        One interaction for each pair of a user and a track, with its ``count`` and, from events, the ``timestamp`` of
        the earliest.

    Raises:
        DataError: There are no interactions, or a file is not what it should be.
    """
    low, high = options.age_range
    if not 0 <= low <= high:
        raise DataError(f"--age_range: found {low:g} {high:g}, allowed are two ages, the lower first")
    if options.countries < 0:
        raise DataError(f"--countries: found {options.countries}, allowed is 0 or more")
    kinds = [options.interactions] if options.interactions else list(FILES)
    path = find_file(input_path, *(FILES[kind] for kind in kinds))
    if path is None:
        wanted = " or ".join(FILES[kind] for kind in kinds)
        raise DataError(f"--input_path: {input_path} has no {wanted}, plain or .bz2; download it from {LINK}")
    user_fields, item_fields, notes = _fields(input_path, options)
    if path.name.startswith(FILES["events"]):
        listens = read_events(path, options.year)
    else:
        listens = read_counts(path)
        notes.append(f"{path.name} has no times: --year does not apply, and there are no timestamps.")
    return RawData(listens.inter, user_fields, item_fields, listens.steps, notes, raw_ids=listens.raw_ids)


def _fields(folder: Path, options: argparse.Namespace) -> tuple[list[RawField], list[RawField], list[str]]:
    """The fields that are kept, with their headers checked before the interactions are read, which takes minutes."""
    users = find_file(folder, "users.tsv")
    user_fields = demographic_fields(users, tuple(options.age_range), options.countries) if users else []
    chosen = {"user": user_fields, "item": feature_fields(folder)}
    encodings = parse_encodings(options.encode)
    for side, fields in chosen.items():
        encoded = [encoding for encoding in encodings if encoding.side == side]
        added = {text.partition("=")[0] for text in getattr(options, f"{side}_feature")}
        added |= {encoding.name for encoding in encoded}
        wanted = getattr(options, f"{side}_features")
        names = None if wanted is None else [name for name in wanted if name not in added]
        if names is not None:
            names += [column for encoding in encoded for column in encoding.columns]
        chosen[side] = choose_fields(side, fields, names)
    for field in chosen["item"]:
        check_feature_header(folder / field.source)
    if users and chosen["user"]:
        open_table(users, COLUMNS)
    notes = [] if users else ["There is no users.tsv: the users have no demographics."]
    return chosen["user"], chosen["item"], notes


def _year(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isdecimal() and 1970 <= int(text) <= 9998):
        raise argparse.ArgumentTypeError(f"found '{text}', allowed is a year such as 2018, or all")
    return int(text)
