"""Music4All-Onion: listening events or play counts, features of tracks, demographics of users."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline.raw import RawData

INTERACTION_FILES = {"events": "userid_trackid_timestamp.tsv", "counts": "userid_trackid_count.tsv"}
"""Kind of interactions -> its file."""


class Music4AllOnion:
    """Converter of Music4All-Onion."""

    name = "music4all-onion"
    about = (
        "Music4All-Onion: listening events or play counts, id_*.tsv features of tracks, "
        "users.tsv; .bz2 or unpacked"
    )
    link = "https://zenodo.org/records/15394646"
    # As in the papers.
    defaults: dict[str, object] = {
        "k_core": 5,
        "min_interactions": 2,
        "keep_users": "interacted",
        "keep_items": "interacted",
    }

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add the options for years, files, ages and countries."""
        parser.add_argument(
            "--year",
            metavar="YEAR",
            type=_year,
            default=2018,
            help="keep events of this year (UTC), or all (default: %(default)s, as in the papers)",
        )

        events, counts = INTERACTION_FILES.values()
        parser.add_argument(
            "--interactions",
            choices=list(INTERACTION_FILES),
            help=f"file to read: {events} or {counts} (default: the first existing one)",
        )

        parser.add_argument(
            "--age_range",
            metavar=("FROM", "TO"),
            nargs=2,
            type=float,
            default=[10, 80],
            help="younger and older users have no age (default: 10 80, as in the papers)",
        )
        parser.add_argument(
            "--countries",
            metavar="N",
            type=int,
            default=10,
            help="keep the N most frequent countries, the others are missing; 0 keeps all "
            "(default: %(default)s, as in the papers)",
        )

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the downloaded files, as :func:`.reader.read` does."""
        from . import reader

        return reader.read(input_path, options, self.link)


def _year(text: str) -> int | None:
    """Parse a year; None for ``all``."""
    if text == "all":
        return None
    if not (text.isdecimal() and 1970 <= int(text) <= 9998):
        raise argparse.ArgumentTypeError(f"found '{text}', allowed is a year such as 2018, or all")
    return int(text)
