"""CiteULike-a: libraries of researchers, articles with tags, citations and words, and a split."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline.raw import RawData


class CiteULike:
    """Converter of CiteULike-a."""

    name = "citeulike"
    about = (
        "CiteULike-a: users.dat, item-tag.dat, citations.dat, mult.dat, raw-data.csv; and a "
        "published split"
    )
    link = "https://github.com/js05212/citeulike-a"
    # The papers do not use it: everything is kept.
    defaults: dict[str, object] = {}

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add the option for the folder of the split."""
        parser.add_argument(
            "--split_path",
            metavar="DIR",
            type=Path,
            help="folder with the parts of a published split, warm_emb.csv, warm_val.csv, "
            "warm_test.csv, cold_item_val.csv and cold_item_test.csv (default: --input_path, if it "
            "has them)",
        )

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the downloaded files, as :func:`.reader.read` does."""
        from . import reader

        return reader.read(input_path, options.split_path, self.link)
