"""Filters over display columns, such as ``year >= 1990 and 'Comedy' in class``.

An expression can come from anybody who may ask a server. It is parsed into comparisons, and nothing of it is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, nearest

__all__ = ["evaluate"]

_LONGEST = 10_000
"""Characters of an expression."""

_WORDS = frozenset({"and", "or", "not", "in", "True", "False", "None"})

_PIECES = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`([^`]+)`|(?<![\w.])([^\W\d]\w*)""")
"""A text in quotation marks, a name in backticks, or a plain name."""

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_ALLOWED = (
    "comparisons of columns with texts and numbers (==, !=, <, <=, >, >=), 'text' in column, column in ['a', 'b'], "
    "joined by and, or, not"
)


def evaluate(expression: str, table: pa.Table) -> NDArray[np.bool_]:
    """Find the rows for which an expression holds. A missing value fulfils no comparison but ``!=``.

    Args:
        expression: The expression.
        table: The columns.

    Returns:
        bool ``[n]``.

    Raises:
        DataError: It is no such expression, or names an unknown column.

    Example:
        >>> films = pa.table({"year": [1985, 1999], "class": [["Comedy"], ["Drama", "War"]]})
        >>> evaluate("year > 1990 and 'War' in class", films).tolist()
        [False, True]
    """
    tree, names = _parse(expression, table.column_names)
    try:
        found = _Evaluation(expression, table, names).rows(tree.body)
    except RecursionError:
        raise _refused(expression, "it is nested too deeply") from None
    return found


def _parse(expression: str, columns: Sequence[str]) -> tuple[ast.Expression, dict[str, str]]:
    """Parse an expression; columns may have any name, also one that is a word of Python."""
    if not isinstance(expression, str) or len(expression) > _LONGEST:
        raise DataError(f"filter: found {str(expression)[:60]!r}, allowed is a text of at most {_LONGEST} characters")
    names: dict[str, str] = {}

    def replaced(piece: re.Match[str]) -> str:
        text, quoted, plain = piece.groups()
        if text is not None or (plain in _WORDS and plain not in columns):
            return piece.group()
        place = f"column_{len(names)}"
        names[place] = quoted or plain
        return place

    try:
        return ast.parse(_PIECES.sub(replaced, expression.strip()), mode="eval"), names
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _refused(expression, "it cannot be read") from None


def _refused(expression: str, reason: str) -> DataError:
    return DataError(f"filter {expression[:80]!r}: {reason}; allowed are {_ALLOWED}")


class _Evaluation:
    """Evaluation of one expression on one table."""

    def __init__(self, expression: str, table: pa.Table, names: dict[str, str]) -> None:
        self.expression = expression
        self.table = table
        self.names = names

    def rows(self, node: ast.expr) -> NDArray[np.bool_]:
        """Rows for which a condition holds, bool ``[n]``."""
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(join.reduce([self.rows(value) for value in node.values]), dtype=bool)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.rows(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(node.ops, sides[:-1], sides[1:], strict=True)
            return np.asarray(np.logical_and.reduce([self._compare(*pair) for pair in pairs]), dtype=bool)
        raise _refused(self.expression, "it is no condition")

    def _compare(self, comparison: ast.cmpop, left: ast.expr, right: ast.expr) -> NDArray[np.bool_]:
        if isinstance(comparison, (ast.In, ast.NotIn)):
            found = self._contains(left, right)
            return ~found if isinstance(comparison, ast.NotIn) else found

        compare = _COMPARISONS.get(type(comparison))
        if compare is None:
            raise _refused(self.expression, "it has an unknown comparison")
        one, other = self._value(left), self._value(right)
        is_wrong = isinstance(comparison, ast.NotEq)
        n = self.table.num_rows
        pairs = zip(
            one if isinstance(one, list) else [one] * n, other if isinstance(other, list) else [other] * n, strict=True
        )
        return np.array([_holds(compare, a, b, is_wrong) for a, b in pairs], dtype=bool)

    def _contains(self, left: ast.expr, right: ast.expr) -> NDArray[np.bool_]:
        """Rows of ``'text' in column`` or ``column in [...]``."""
        if isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            options = [self._constant(element) for element in right.elts]
            cells = self._value(left)
            return (
                np.array([cell in options for cell in cells], dtype=bool) if isinstance(cells, list) else self._none()
            )

        wanted = self._constant(left)
        cells = self._value(right)
        if not isinstance(cells, list):
            raise _refused(self.expression, "the right of 'in' is no column and no list")
        if any(isinstance(cell, (int, float)) for cell in cells):
            raise _refused(self.expression, "the right of 'in' is a column of numbers")
        return np.array([cell is not None and _has(cell, wanted) for cell in cells], dtype=bool)

    def _none(self) -> NDArray[np.bool_]:
        raise _refused(self.expression, "the left of 'in' is no column")

    def _value(self, node: ast.expr) -> Any:
        """Cells of a column, as a list, or a constant."""
        if not isinstance(node, ast.Name):
            return self._constant(node)
        name = self.names.get(node.id, node.id)
        if name not in self.table.column_names:
            known = self.table.column_names
            allowed = ", ".join(known) or "none: export the model with --display"
            raise DataError(f"filter: '{name}' is no display column{nearest(name, known)}; there are {allowed}")
        return self.table.column(name).to_pylist()

    def _constant(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float)):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self._constant(node.operand)
            if not isinstance(number, str):
                return -number
        raise _refused(self.expression, "it compares something that is neither a column nor a text or number")


def _holds(compare: Callable[[Any, Any], Any], one: Any, other: Any, is_unequal: bool) -> bool:
    """Compare two cells; cells of several elements are compared as one text."""
    if one is None or other is None:
        return is_unequal
    if isinstance(one, list):
        one = " ".join(map(str, one))
    if isinstance(other, list):
        other = " ".join(map(str, other))
    if isinstance(one, str) != isinstance(other, str):
        one, other = _alike(one, other)
        if one is None:
            return is_unequal
    return bool(compare(one, other))


def _alike(one: Any, other: Any) -> tuple[Any, Any]:
    """Convert the text of two cells to a number; labels such as years are texts in an atomic file."""
    try:
        return float(one), float(other)
    except ValueError:
        return None, None


def _has(cell: Any, wanted: Any) -> bool:
    """Tell if a list has an element, or a text a part."""
    return str(wanted) in cell if isinstance(cell, str) else wanted in cell
