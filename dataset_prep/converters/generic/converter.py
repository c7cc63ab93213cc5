"""Any data set: tables of interactions, users and items, with columns named by the options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as own_options

if TYPE_CHECKING:
    from ...pipeline.raw import RawData


class GenericTables:
    """Converter of tables of any form."""

    name = "generic"
    about = "Any data set: tables (CSV, TSV, JSON lines, Parquet) of interactions, users and items"
    # Nothing to download.
    link = ""
    # The papers have no such data set: everything is kept.
    defaults: dict[str, object] = {}

    def add_options(self, parser: argparse._ArgumentGroup) -> None:
        """Add the options for files, columns and table formats."""
        own_options.add_table_options(parser)
        own_options.add_format_options(parser)

    def read(self, input_path: Path, options: argparse.Namespace) -> RawData:
        """Read the tables, as :func:`.reader.read` does."""
        from . import reader

        return reader.read(input_path, options)
