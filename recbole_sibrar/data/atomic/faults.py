"""Finding the number that keeps RecBole from reading an atomic file.

RecBole's own message names neither line nor field.
"""

from __future__ import annotations

from collections.abc import Callable

from recbole_sibrar.data.atomic.file import AtomicFile
from recbole_sibrar.data.atomic.formats import Field
from recbole_sibrar.data.atomic.rows import BadRowError, read_records
from recbole_sibrar.data.atomic.tables import MISSING
from recbole_sibrar.errors import DataError


def find_wrong_number(file: AtomicFile, fields: list[Field]) -> DataError | None:
    """Find the first cell of a file with a number that Python cannot read.

    Args:
        file: The file, whose rows all have as many cells as the header.
        fields: The loaded fields.

    Returns:
        The error that names line, field and cell; None if all numbers can be read.
    """
    try:
        return _find_wrong_number(file, fields)
    except (BadRowError, UnicodeError, OSError):
        return None  # the numbers are not the reason


def _find_wrong_number(file: AtomicFile, fields: list[Field]) -> DataError | None:
    separator = file.text_format.seq_separator
    numbers: dict[str, Field] = {}
    checks: dict[str, Callable[[str], str | None]] = {}
    for field in fields:
        if "float" in field.type:
            numbers[field.header] = field
            checks[field.header] = _first_wrong(field, separator)

    records = read_records(file.path, file.text_format)
    header = next(records).cells
    for record in records:
        for name, cell in zip(header, record.cells, strict=True):
            wrong = checks[name](cell) if name in checks else None
            if wrong is not None:
                field = numbers[name]
                where = f"{file.path}, line {record.line}, field '{field.name}' ({field.type})"
                return DataError(f"{where}: {wrong!r} is not a number")
    return None


def _first_wrong(field: Field, seq_separator: str) -> Callable[[str], str | None]:
    """Make a function that returns the first part of a cell that is no number, or None."""
    if field.type == "float":
        return lambda cell: None if cell in MISSING or _is_number(cell) else cell

    def among_elements(cell: str) -> str | None:
        elements = [] if cell in MISSING else cell.split(seq_separator)
        for element in elements:
            # RecBole takes several separators in a row for one
            if element and not _is_number(element):
                return element
        return None

    return among_elements


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
