"""RecBole's atomic files: reading, writing, checking."""

from recbole_sibrar.data.atomic.file import (
    AtomicFile,
    CellError,
    RowError,
    read_frame,
    read_header,
    write_frame,
)
from recbole_sibrar.data.atomic.formats import FIELD_TYPES, Field, TextFormat, names_of
from recbole_sibrar.errors import DataError

__all__ = [
    "FIELD_TYPES",
    "AtomicFile",
    "CellError",
    "DataError",
    "Field",
    "RowError",
    "TextFormat",
    "names_of",
    "read_frame",
    "read_header",
    "write_frame",
]
