"""Options of the converter ``generic``: files, columns, and the format of each table."""

from __future__ import annotations

import argparse

from recbole_sibrar.names import FIELD_TYPES, SIDES

from ...readers.endings import SEPARATORS
from .column_names import USUAL_NAMES

TABLES = ("interactions", "users", "items")
"""The tables, as on the command line."""


def add_table_options(parser: argparse._ArgumentGroup) -> None:
    """Add the options for files and columns."""
    add = parser.add_argument
    add(
        "--interactions",
        metavar="FILE",
        required=True,
        help="table of interactions, in --input_path",
    )
    add("--users", metavar="FILE", help="table of users, a line for each")
    add("--items", metavar="FILE", help="table of items, a line for each")

    for role, names in USUAL_NAMES.items():
        usual = f"{', '.join(names[:3])}, ..."
        unused = "" if role in SIDES else "; none for none"
        shown = f"column with the {role} (default: {usual}, if there is one{unused})"
        add(f"--{role}_column", metavar="COLUMN", help=shown)
    for side in SIDES:
        shown = (
            f"column of the ids in the table of {side}s (default: the name in the interactions, or "
            "a usual name)"
        )
        add(f"--{side}s_id_column", metavar="COLUMN", help=shown)

    add(
        "--timestamp_format",
        metavar="FORM",
        help="form of the dates of the interactions, such as '%%d.%%m.%%Y %%H:%%M'",
    )
    add(
        "--drop_without_id",
        action="store_true",
        help="leave out interactions without a user or an item, such as orders of guests, and not "
        "refuse them",
    )
    add(
        "--columns",
        metavar="SIDE:COLUMN=TYPE",
        nargs="+",
        default=[],
        help="type of columns of users or items, as user:age=float or item:tags=token_seq, or "
        "item:url=skip to leave one out; a pattern stands for several columns, and a name behind "
        "the type makes one field of them: 'item:img_*=float_seq image'; without it, the type is "
        f"inferred and reported; types: {', '.join(FIELD_TYPES)}",
    )
    add(
        "--list_separator",
        default="|",
        help="separates the elements of a list in a cell (default: %(default)s)",
    )


def add_format_options(parser: argparse._ArgumentGroup) -> None:
    """Add the options for the format of all tables and of each."""
    add = parser.add_argument
    endings = ", ".join(f"{value!r} for {ending}" for ending, value in SEPARATORS.items())

    # %% in a help text is a single %: argparse formats it.
    add(
        "--separator",
        metavar="TEXT",
        help=f"separates columns, such as ';' or '\\t' (default: {endings})",
    )
    add(
        "--encoding",
        metavar="NAME",
        help="encoding of text files, such as latin-1 (default: utf-8)",
    )
    add(
        "--quote",
        metavar="MARK",
        help="quotation mark of cells with separators in them, or none "
        '(default: " with separators of one character)',
    )
    add(
        "--no_header",
        action="store_true",
        help="text files begin with data, not with names of columns; columns are named 1, 2, 3, "
        "...",
    )
    add(
        "--decimal",
        metavar="MARK",
        default=".",
        help="decimal point of numbers in texts, . or , (default: .)",
    )
    add(
        "--missing",
        metavar="A,B",
        default="",
        help="cells with a missing value in every column, separated by commas, such as NULL,NA; "
        "in columns of numbers such words are missing anyway",
    )

    for table in TABLES:
        _add_format_of(table, parser)


def _add_format_of(table: str, parser: argparse._ArgumentGroup) -> None:
    """Add the options for the format of one table."""
    add = parser.add_argument
    add(f"--{table}_separator", metavar="TEXT", help=f"--separator of the {table}")
    add(f"--{table}_encoding", metavar="NAME", help=f"--encoding of the {table}")
    add(f"--{table}_quote", metavar="MARK", help=f"--quote of the {table}")
    add(
        f"--{table}_header",
        metavar="A,B,C",
        help=f"names of the columns of the {table}, for a file without a header",
    )
    add(f"--{table}_no_header", action="store_true", help=f"--no_header of the {table}")
