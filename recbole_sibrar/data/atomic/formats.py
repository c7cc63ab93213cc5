"""Fields and text format of an atomic file."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

from recbole_sibrar.names import FIELD_TYPES

__all__ = ["FIELD_TYPES", "SEPARATORS", "Field", "TextFormat", "names_of"]

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "|", "::": "::", " ": "spaces"}
"""Usual separators of cells, in words."""

_ASCII_BASED = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
"""Encodings whose bytes below 128 are ASCII characters and nothing else."""


@dataclass(frozen=True)
class Field:
    """One column of an atomic file."""

    name: str
    """Name of the field, without its type."""
    type: str
    """One of :data:`FIELD_TYPES`."""

    @property
    def header(self) -> str:
        """The column's cell of the header line."""
        return f"{self.name}:{self.type}"


def names_of(fields: Iterable[Field], *types: str) -> list[str]:
    """List the names of fields, in their order.

    Args:
        fields: The fields.
        types: Types of the listed fields; all without any.

    Example:
        >>> names_of([Field("item_id", "token"), Field("year", "float")], "float")
        ['year']
    """
    return [field.name for field in fields if not types or field.type in types]


# The names of the caches on disk are hashes over the repr of this class: renaming it or a field
# orphans them.
@dataclass(frozen=True)
class TextFormat:
    """Separators and encoding of an atomic file."""

    separator: str = "\t"
    """Separator of the columns (RecBole's ``field_separator``)."""
    seq_separator: str = " "
    """Separator of the elements of a sequence."""
    encoding: str | None = None
    """Encoding of the file; None for UTF-8."""

    @property
    def codec(self) -> str:
        """Name of the encoding."""
        return self.encoding or "utf-8"

    @property
    def is_plain(self) -> bool:
        """True if a line can be divided at a byte, with any content of the cells."""
        is_character = len(self.separator) == 1 and self.separator.isascii()
        is_usable = is_character and self.separator not in '"\r\n\\'
        return is_usable and codecs.lookup(self.codec).name in _ASCII_BASED

    @property
    def is_utf8(self) -> bool:
        """True if the file is in UTF-8."""
        return codecs.lookup(self.codec).name == "utf-8"
