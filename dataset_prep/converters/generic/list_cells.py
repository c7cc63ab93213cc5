"""Lists in brackets in a cell of text.

They are written by Python (``['a', 'b']``), JSON (``["a", "b"]``), NumPy (``[0.1 0.2]``) or Java
(``[rock, pop]``).
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...lists import parts_of

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ONLY_NUMBERS = re.compile(r"[-+.\deE,;\s]*")
_WORDS = {"None": None, "nan": None, "null": None, "True": True, "False": False}
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

        # Dates and version numbers consist of the same signs.
        return CellList(elements, True) if all(map(_NUMBER.fullmatch, elements)) else None

    # The most exact form first: Python's holds most of JSON's, and almost all is a bare list.
    found = _json_list(text) or _printed_list(inner)
    if found is None and text[0] == "[":
        found = _bare_list(inner)
    return found


def kind_of_lists(lists: Sequence[CellList]) -> tuple[str | None, str]:
    """Infer the type of a column of lists, with the reason.

    Args:
        lists: The lists of all cells, without missing ones.

    Returns:
        ``float_seq``, ``token_seq``, or None for lists of decimal numbers of different lengths.
    """
    sizes: set[int] = set()
    has_decimals = False
    has_repeated = False
    for cell in lists:
        if not cell.elements:
            continue
        if not cell.is_numeric:
            return "token_seq", "lists of labels in brackets"

        sizes.add(len(cell.elements))
        has_decimals = has_decimals or _has_decimals(cell)
        has_repeated = has_repeated or len(set(cell.elements)) < len(cell.elements)

    if not sizes:
        return "token_seq", "lists of labels in brackets"
    if has_decimals and len(sizes) > 1:
        lengths = f"{min(sizes)} to {max(sizes)}"
        return None, f"its lists of decimal numbers are of different lengths, {lengths}"

    # Vectors are of one length, and have decimals or the same number twice. Labels have neither.
    if len(sizes) == 1:
        size = sizes.pop()
        if has_decimals or (has_repeated and size >= SHORT_LIST):
            return "float_seq", f"vectors of {size} numbers in brackets"
    return "token_seq", "lists of whole numbers in brackets, taken for labels"


def _has_decimals(cell: CellList) -> bool:
    return any(not element.lstrip("+-").isdigit() for element in cell.elements)


def _json_list(text: str) -> CellList | None:
    # Numbers stay as they are written: 007 and 1.10 are labels too.
    try:
        values = json.loads(text, parse_int=_Numeral, parse_float=_Numeral)
    except (ValueError, RecursionError):
        return None
    return _from_values(values)


class _Numeral(str):
    """A number as it is written."""

    __slots__ = ()


def _from_values(values: list[Any]) -> CellList | None:
    elements: list[str] = []
    is_numeric = True
    for value in values:
        if isinstance(value, dict | list):
            return None

        # NaN alone differs from itself.
        if value is None or value != value:
            continue
        is_numeric &= isinstance(value, _Numeral)
        element = str(value).lower() if isinstance(value, bool) else str(value)
        if element.strip():
            elements.append(element)
    return CellList(elements, is_numeric)


def _printed_list(inner: str) -> CellList | None:
    """Parse a list printed by Python or NumPy."""
    values: list[Any] = []
    sign = ""

    # NumPy prints no commas and breaks lines: the list is no expression of Python.
    lines = io.StringIO(inner.replace("\n", " "))
    try:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.STRING:
                values.append(ast.literal_eval(token.string))
            elif token.type == tokenize.NUMBER:
                values.append(_Numeral(sign + token.string))
            elif token.type == tokenize.NAME and token.string in _WORDS:
                values.append(_WORDS[token.string])
            elif not (token.string.strip() == "" or token.string in {",", "-", "+"}):
                return None

            # The tokenizer divides a negative number into its sign and the number.
            sign = token.string if token.string in {"-", "+"} else ""
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None

    if not all(isinstance(value, str | bool | None) for value in values):
        return None

    return _from_values(values)


def _bare_list(inner: str) -> CellList | None:
    """Parse a list printed by Java or a shell, without quotation marks."""
    # Brackets and quotation marks: another form, damaged. Dots: NumPy has left out elements.
    if set(inner) & set('[]{}"') or "..." in inner:
        return None

    # An apostrophe inside a word is none at its ends.
    elements = parts_of(inner)
    if any("'" in element[:2] + element[-1:] for element in elements):
        return None
    return CellList([element for element in elements if element not in _MISSING], False)
