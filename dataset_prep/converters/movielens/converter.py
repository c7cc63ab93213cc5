"""MovieLens-1M: ratings of films by users with demographics, films with titles and genres."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline.raw import RawData


class MovieLens:
    """Converter of MovieLens-1M."""

    name = "ml-1m"
    about = "MovieLens-1M: ratings.dat, users.dat, movies.dat"
    link = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    # As in the papers.
    defaults: dict[str, object] = {
        "min_rating": 3.0,
        "k_core": 5,
        "keep_users": "interacted",
        "keep_items": "interacted",
    }

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add no options: the shared ones are enough."""

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the unpacked archive, as :func:`.reader.read` does."""
        from . import reader

        return reader.read(input_path, self.link)
