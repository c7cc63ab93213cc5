"""Converters: one for each public data set, and one for tables of any form.

The modules imported here hold names, defaults and options only. ``--help`` does not wait for
pandas: the reading of a data set is imported on its run. ``docs/guide/add_a_converter.md`` is a
guide to new converters.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .amazon.converter import AmazonReviews
from .citeulike.converter import CiteULike
from .generic.converter import GenericTables
from .movielens.converter import MovieLens
from .music4all.converter import Music4AllOnion

if TYPE_CHECKING:
    from ..pipeline.raw import RawData

__all__ = ["CONVERTERS", "Converter"]


class Converter(Protocol):
    """Reader of one data set, with its options."""

    @property
    def name(self) -> str:
        """Name on the command line, and of the data set if the user gives none."""

    @property
    def about(self) -> str:
        """Files of the data set, in a line for the help."""

    @property
    def link(self) -> str:
        """Address of the download; empty if there is none."""

    @property
    def defaults(self) -> Mapping[str, object]:
        """Shared options with another default, such as those of the papers."""

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add the options of this converter alone."""

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the downloaded files.

        Args:
            input_path: Folder of the files.
            options: Values of all options, the shared ones included.

        Returns:
            Interactions and fields before the shared filters.

        Raises:
            DataError: A file is missing, or its content is wrong.
        """


_ALL: tuple[Converter, ...] = (
    MovieLens(),
    Music4AllOnion(),
    AmazonReviews(),
    CiteULike(),
    GenericTables(),
)

CONVERTERS: dict[str, Converter] = {converter.name: converter for converter in _ALL}
"""Name on the command line -> converter, in the order of the help."""
