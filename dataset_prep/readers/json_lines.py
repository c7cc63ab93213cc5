"""Files with one JSON object a line, streamed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from recbole_sibrar.errors import DataError

from .streams import read_blocks


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the objects of a file one by one.

    Args:
        path: The file, plain or compressed.

    Yields:
        The number of a line, and its object.

    Raises:
        DataError: A line is not a JSON object in UTF-8.
    """
    for block in read_blocks(path):
        for number, line in block.lines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}, line {number}, column {error.colno}: no JSON object: {error.msg}"
                ) from None
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}, byte {error.start + 1}: the text is not UTF-8"
                ) from None
            except (ValueError, RecursionError) as error:
                # Numbers of thousands of digits, lists in lists in lists.
                raise DataError(
                    f"{path}, line {number}: no JSON object that can be read: {error}"
                ) from None

            if not isinstance(record, dict):
                raise DataError(
                    f"{path}, line {number}: found {_shown(record)}, allowed is a JSON object"
                )
            yield number, record


def finite_number(value: object) -> float | None:
    """Convert a JSON number to a float; None for anything else, and for too large numbers."""
    # True and false are whole numbers for Python.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None

    # "not <=" refuses NaN as well, which is neither larger nor smaller.
    if not abs(value) <= sys.float_info.max:
        return None
    return float(value)


def refuse_value(path: Path, line: int, key: str, found: object, allowed: str) -> NoReturn:
    """Refuse a value of an object.

    Raises:
        DataError: Always.
    """
    raise DataError(
        f"{path}, line {line}, key '{key}': found {_shown(found)}, allowed is {allowed}"
    )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}..."
