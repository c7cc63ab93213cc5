"""Amazon Reviews 2023: the reviews or ratings of one category, and the metadata of its items."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline.raw import RawData


class AmazonReviews:
    """Converter of Amazon Reviews 2023."""

    name = "amazon-2023"
    about = (
        "Amazon Reviews 2023: CATEGORY.jsonl or CATEGORY.csv, and meta_CATEGORY.jsonl; .gz or "
        "unpacked"
    )
    link = "https://amazon-reviews-2023.github.io"
    # As in the papers: every rating counts.
    defaults: dict[str, object] = {
        "min_rating": None,
        "k_core": 5,
        "keep_users": "interacted",
        "keep_items": "interacted",
    }

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add the option for the category."""
        parser.add_argument(
            "--category",
            metavar="CATEGORY",
            default="Video_Games",
            help="the category, as in the names of its files (default: %(default)s, as in the "
            "papers)",
        )

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the downloaded files of a category, as :func:`.reader.read` does."""
        from . import reader

        return reader.read(input_path, options.category)
