"""The option ``--encode`` of ``prepare``: columns of texts, and a model for their vectors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import SIDES

from ..encoding.command_options import add_device_options
from ..lists import parts_of

_SHAPE = "COLUMN=MODEL, COLUMN,COLUMN=MODEL or 'SIDE:COLUMN,COLUMN=MODEL NAME'"


@dataclass(frozen=True)
class Encoding:
    """One value of ``--encode``."""

    text: str
    """The value, for messages."""
    side: str
    """``user`` or ``item``."""
    columns: tuple[str, ...]
    """The columns. Their texts are joined by spaces in this order."""
    model: str
    """The model, as for ``encode-text``."""
    name: str
    """Name of the field."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for encoding."""
    parser.add_argument(
        "--encode",
        metavar="COLUMN,COLUMN=MODEL",
        action="append",
        default=[],
        help="make vectors of the texts of item columns by a sentence transformer (a folder, an "
        "installed package, or a name on Hugging Face), as encode-text does; the field is named "
        "as the column, that of several columns text, or NAME; repeatable",
    )
    add_device_options(parser, prefix="encode_", noun="texts", metavar="N")


def parse_encodings(texts: Sequence[str]) -> list[Encoding]:
    """Parse the values of ``--encode``.

    Raises:
        DataError: A value has another form.

    Example:
        >>> parse_encodings(["title,description=all-mpnet-base-v2"])[0].columns
        ('title', 'description')
        >>> parse_encodings(["user:bio=all-mpnet-base-v2"])[0].side
        'user'
    """
    return [_parse(text) for text in texts]


def of_side(encodings: Sequence[Encoding], side: str) -> list[Encoding]:
    """Find the encodings of ``user`` or ``item`` fields."""
    return [encoding for encoding in encodings if encoding.side == side]


def _parse(text: str) -> Encoding:
    left, equals, right = text.partition("=")
    side, colon, listed = left.partition(":")

    # A column itself can have a colon in its name.
    if not colon or side not in SIDES:
        side, listed = "item", left

    columns = tuple(parts_of(listed))
    model, name = _model_and_name(right.strip())
    if not equals or not model or "" in columns:
        raise DataError(f"--encode: found '{text}', allowed is {_SHAPE}")
    if len(set(columns)) < len(columns):
        raise DataError(f"--encode: found '{text}', allowed is each column once")

    usual_name = columns[0] if len(columns) == 1 else "text"
    return Encoding(text, side, columns, model, name or usual_name)


def _model_and_name(text: str) -> tuple[str, str]:
    """Divide a model from the name behind it, if there is one."""
    model, space, name = text.rpartition(" ")

    # The path of a folder can have spaces.
    if not space or os.path.isdir(os.path.expanduser(text)):
        return text, ""
    return model.strip(), name
