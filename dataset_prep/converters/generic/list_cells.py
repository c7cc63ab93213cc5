"""Lists in brackets in a cell of text: ``[27, 9]``, ``['a', 'b']``, ``["a", "b"]``, ``[0.1 0.2]``, ``[rock, pop]``."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ONLY_NUMBERS = re.compile(r"[-+.\deE,;\s]*")
_MISSING = frozenset(("", "None", "null", "nan", "NaN", "NULL"))

SHORT_LIST = 4
"""Lists of whole numbers, all of one length and shorter than this, are labels."""


@dataclass(frozen=True)
class CellList:
    """The list of one cell."""

    elements: list[str]
    """Its elements, without missing ones."""
    is_numeric: bool
    """True if all elements are numbers outside quotation marks."""


def parse_list(cell: str) -> CellList | None:
    """Read a list in brackets.

    Args:
        cell: A cell of a text table.

    Returns:
        The list; None for other cells, such as ``[REC] 2`` and ``[{'id': 1}]``.
    """
    text = cell.strip()
    if len(text) < 2 or (text[0], text[-1]) not in {("[", "]"), ("(", ")")}:
        return None

    inner = text[1:-1]
    if _ONLY_NUMBERS.fullmatch(inner):
        elements = re.sub(r"[,;]", " ", inner).split()
        return CellList(elements, True) if all(map(_NUMBER.fullmatch, elements)) else None
    return (
        _json_list(text) or _printed_list(inner) or (_bare_list(inner) if text[0] == "[" else None)
    )


def kind_of_lists(lists: Sequence[CellList]) -> tuple[str | None, str]:
    """Infer the type of a column of lists, with the reason.

    Vectors are of one length, and have decimals or the same number twice. Labels have neither.

    Args:
        lists: The lists of all cells, without missing ones.

    Returns:
        ``float_seq``, ``token_seq``, or None for lists of decimal numbers of different lengths.
    """
    filled = [cell for cell in lists if cell.elements]
    if not filled or not all(cell.is_numeric for cell in filled):
        return "token_seq", "lists of labels in brackets"

    sizes = {len(cell.elements) for cell in filled}
    decimal = any(
        not element.lstrip("+-").isdigit() for cell in filled for element in cell.elements
    )
    if len(sizes) > 1:
        if decimal:
            return (
                None,
                f"its lists of decimal numbers are of different lengths, {min(sizes)} to "
                f"{max(sizes)}",
            )
        return "token_seq", "lists of whole numbers in brackets, taken for labels"

    size = sizes.pop()
    repeated = size >= SHORT_LIST and any(len(set(cell.elements)) < size for cell in filled)
    if decimal or repeated:
        return "float_seq", f"vectors of {size} numbers in brackets"
    return "token_seq", "lists of whole numbers in brackets, taken for labels"


def _json_list(text: str) -> CellList | None:
    try:
        values = json.loads(text, parse_int=_Numeral, parse_float=_Numeral)
    except (ValueError, RecursionError):
        return None
    return _from_values(values)


class _Numeral(str):
    """A number as it is written."""

    __slots__ = ()


def _from_values(values: list[Any]) -> CellList | None:
    if any(isinstance(value, dict | list) for value in values):
        return None
    present = [value for value in values if value is not None and value == value]
    elements = [str(value).lower() if isinstance(value, bool) else str(value) for value in present]
    return CellList(
        [element for element in elements if element.strip()],
        all(isinstance(value, _Numeral) for value in present),
    )


def _printed_list(inner: str) -> CellList | None:
    """Parse a list printed by Python or NumPy; NumPy prints no commas."""
    values: list[Any] = []
    sign = ""

    try:
        for token in tokenize.generate_tokens(io.StringIO(inner.replace("\n", " ")).readline):
            if token.type == tokenize.STRING:
                values.append(ast.literal_eval(token.string))
            elif token.type == tokenize.NUMBER:
                values.append(_Numeral(sign + token.string))
            elif token.type == tokenize.NAME and token.string in {
                "None",
                "nan",
                "True",
                "False",
                "null",
            }:
                values.append({"True": True, "False": False}.get(token.string))
            elif not (token.string.strip() == "" or token.string in {",", "-", "+"}):
                return None
            sign = token.string if token.string in {"-", "+"} else ""
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None

    if not all(isinstance(value, str | bool | None) for value in values):
        return None

    return _from_values(values)


def _bare_list(inner: str) -> CellList | None:
    """Parse a list printed by Java or a shell, without quotation marks."""
    elements = [element.strip() for element in inner.split(",")]
    if (
        set(inner) & set('[]{}"')
        or "..." in inner
        or any("'" in element[:2] + element[-1:] for element in elements)
    ):
        return None
    return CellList([element for element in elements if element not in _MISSING], False)
