"""Saying why RecBole cannot read an atomic file, where its own message names neither line nor field."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from recbole_sibrar.data.atomic.columns import TextFormat
from recbole_sibrar.data.atomic.file import Field
from recbole_sibrar.data.atomic.plain import MISSING
from recbole_sibrar.data.atomic.rows import BadRowError, read_records
from recbole_sibrar.errors import DataError


def find_wrong_number(path: str | PathLike[str], fields: list[Field], text_format: TextFormat) -> DataError | None:
    """Find the first cell of a file whose numbers Python cannot read.

    Args:
        path: The file, whose rows all have as many cells as the header.
        fields: The fields that are loaded.
        text_format: How the file is written.

    Returns:
        The error that names line, field and cell; None if all numbers can be read.
    """
    try:
        return _find_wrong_number(path, fields, text_format)
    except (BadRowError, UnicodeError, OSError):
        return None  # then not the numbers are the reason


def _find_wrong_number(path: str | PathLike[str], fields: list[Field], text_format: TextFormat) -> DataError | None:
    checks = {field.header: (field, _first_wrong(field, text_format)) for field in fields if "float" in field.type}
    records = read_records(path, text_format)
    header = next(records).cells
    for record in records:
        for name, cell in zip(header, record.cells, strict=True):
            if name not in checks:
                continue
            field, first_wrong = checks[name]
            wrong = first_wrong(cell)
            if wrong is not None:
                return DataError(
                    f"{path}, line {record.line}, field '{field.name}' ({field.type}): {wrong!r} is not a number"
                )
    return None


def _first_wrong(field: Field, text_format: TextFormat) -> Callable[[str], str | None]:
    """A function that returns the first part of a cell that is no number, or None."""
    if field.type == "float":
        return lambda cell: None if cell in MISSING or _is_number(cell) else cell

    def among_elements(cell: str) -> str | None:
        elements = [] if cell in MISSING else cell.split(text_format.seq_separator)
        return next((element for element in elements if element and not _is_number(element)), None)

    return among_elements


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
