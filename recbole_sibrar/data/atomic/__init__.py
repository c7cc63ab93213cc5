"""RecBole's atomic files: reading, writing, checking."""

from recbole_sibrar.data.atomic.file import (
    FIELD_TYPES,
    CellError,
    Field,
    RowError,
    check_text,
    read_frame,
    read_header,
    write_frame,
)
from recbole_sibrar.errors import DataError

__all__ = [
    "FIELD_TYPES",
    "CellError",
    "DataError",
    "Field",
    "RowError",
    "check_text",
    "read_frame",
    "read_header",
    "write_frame",
]
