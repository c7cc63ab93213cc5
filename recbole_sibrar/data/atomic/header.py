"""Reading the header of an atomic file."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from recbole_sibrar.data.atomic.formats import FIELD_TYPES, SEPARATORS, Field, TextFormat
from recbole_sibrar.errors import DataError

_SEVERAL_FIELDS = re.compile(rf":({'|'.join(FIELD_TYPES)})\W")
"""The end of a field inside a cell of a header."""


def parse_header(path: str | PathLike[str], text_format: TextFormat) -> list[Field]:
    """Read the fields of a file.

    Args:
        path: The file.
        text_format: Its format.

    Returns:
        The fields, in the order of the columns.

    Raises:
        DataError: A column is not ``field:type`` with a known type, or a field occurs twice.
    """
    head = _first_line(path, text_format.encoding)
    fields: dict[str, Field] = {}

    for cell in head.split(text_format.separator):
        # the last colon: a name may hold others
        name, colon, kind = cell.rpartition(":")
        if not colon or kind not in FIELD_TYPES or _SEVERAL_FIELDS.search(name):
            found = _describe_header(head, cell, text_format.separator)
            raise DataError(f"{path}, line 1: {found}")

        if name in fields:
            found = f"field '{name}' occurs twice, allowed is each field once"
            raise DataError(f"{path}, line 1: {found}")
        fields[name] = Field(name, kind)
    return list(fields.values())


def _first_line(path: str | PathLike[str], encoding: str | None) -> str:
    """First line of a file."""
    try:
        with open(path, encoding=encoding or "utf-8") as file:
            head = file.readline()
    except UnicodeError:
        raise undecodable(path, encoding) from None
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror}") from None

    if not head:
        raise DataError(
            f"{path}: the file is empty, allowed is a header of field:type and a line for each row"
        )
    if head.startswith("\ufeff"):
        raise DataError(
            f"{path}, line 1: found a byte-order mark, allowed is a header of field:type; save the "
            "file without, or set the key 'encoding' to utf-8-sig"
        )
    return head.rstrip("\r\n")


def _describe_header(head: str, cell: str, separator: str) -> str:
    """Describe a wrong cell of a header."""
    found = f"column '{cell}' is not 'field:type' with a type of {', '.join(FIELD_TYPES)}"
    if "\0" in head:
        return (
            "found NUL bytes in the header; the file is damaged, or in another encoding "
            "(key 'encoding')"
        )
    if head.startswith('"') or separator + '"' in head:
        return f"{found}; write the header without quotation marks"
    if not head.strip():
        return "found a blank line, allowed is a header of field:type"
    if head.endswith(separator) and not cell:
        return f"{found}; the line ends in a separator too many"

    for other, name in SEPARATORS.items():
        kinds = [part.rpartition(":")[2] for part in head.split(other)]
        if other != separator and len(kinds) > 1 and set(kinds).issubset(FIELD_TYPES):
            return f"{found}; the columns seem to be separated by {name} (key 'field_separator')"
    return found if ":" in head else f"{found}; the first line has to be the header"


def undecodable(path: str | PathLike[str], encoding: str | None) -> DataError:
    """Error for a file in another encoding than the configuration says."""
    used = encoding or "utf-8"
    advice = "set the key 'encoding' to that of the file"
    content = Path(path).read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return DataError(f"{path}: the text is not {used}; {advice}, which seems to be utf-16")

    lines = content.split(b"\n") if "\n".encode(used) == b"\n" else []
    for number, line in enumerate(lines, 1):
        try:
            line.decode(used)
        except UnicodeDecodeError as error:
            found = f"found the byte 0x{line[error.start]:02x}"
            return DataError(
                f"{path}, line {number}: the text is not {used}, {found}; {advice}, such as latin-1"
            )
    return DataError(f"{path}: the text is not {used}; {advice}")
