"""Filters over display columns, such as ``year >= 1990 and 'Comedy' in class``.

An expression can come from anybody who may ask a server. It is parsed into comparisons, and nothing
of it is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, nearest
from recbole_sibrar.serving.filter_columns import Constant, FilterColumn, FilterColumns

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

_MIRRORED: dict[Callable[[Any, Any], Any], Callable[[Any, Any], Any]] = {
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
}
"""The comparison with both sides exchanged."""

_ALLOWED = (
    "comparisons of columns with texts and numbers (==, !=, <, <=, >, >=), 'text' in column, "
    "column in ['a', 'b'], joined by and, or, not"
)


def evaluate(expression: str, columns: FilterColumns) -> NDArray[np.bool_]:
    """Find the rows for which an expression holds.

    A missing value fulfils no comparison but ``!=``.

    Args:
        expression: The expression.
        columns: The columns.

    Returns:
        bool ``[n]``.

    Raises:
        DataError: It is no such expression, or names an unknown column.

    Example:
        >>> import pyarrow as pa
        >>> genres = [["Comedy"], ["Drama", "War"]]
        >>> films = FilterColumns(pa.table({"year": [1985, 1999], "class": genres}))
        >>> evaluate("year > 1990 and 'War' in class", films).tolist()
        [False, True]
    """
    tree, names = _parse(expression, columns.names)
    try:
        found = _Evaluation(expression, columns, names).rows(tree.body)
    except RecursionError:
        raise _refused(expression, "it is nested too deeply") from None
    return found


def _parse(expression: str, columns: Sequence[str]) -> tuple[ast.Expression, dict[str, str]]:
    """Parse an expression; columns may have any name, also one that is a word of Python."""
    if not isinstance(expression, str) or len(expression) > _LONGEST:
        raise DataError(
            f"filter: found {str(expression)[:60]!r}, allowed is a text of at most {_LONGEST} "
            "characters"
        )
    names: dict[str, str] = {}

    def replaced(piece: re.Match[str]) -> str:
        text, quoted, plain = piece.groups()
        if text is not None or (plain in _WORDS and plain not in columns):
            return piece.group()

        # `class` is a good name of a column, and no name in Python.
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

    def __init__(self, expression: str, columns: FilterColumns, names: dict[str, str]) -> None:
        self.expression = expression
        self.columns = columns
        self.names = names

    def rows(self, node: ast.expr) -> NDArray[np.bool_]:
        """Rows for which a condition holds, bool ``[n]``."""
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return self._joined(join, (self.rows(value) for value in node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.rows(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(node.ops, sides[:-1], sides[1:], strict=True)
            return self._joined(np.logical_and, (self._compare(*pair) for pair in pairs))
        raise _refused(self.expression, "it is no condition")

    def _joined(self, join: np.ufunc, parts: Iterator[NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Join conditions one by one; a thousand of them at once would take much memory."""
        joined = next(parts).copy()
        for part in parts:
            join(joined, part, out=joined)
        return joined

    def _compare(self, operation: ast.cmpop, left: ast.expr, right: ast.expr) -> NDArray[np.bool_]:
        if isinstance(operation, (ast.In, ast.NotIn)):
            found = self._contains(left, right)
            return ~found if isinstance(operation, ast.NotIn) else found

        comparison = _COMPARISONS.get(type(operation))
        if comparison is None:
            raise _refused(self.expression, "it has an unknown comparison")

        one = self._value(left)
        other = self._value(right)
        # A missing cell, or one that cannot be compared, is unequal to everything.
        is_wrong = isinstance(operation, ast.NotEq)
        if isinstance(one, FilterColumn) and isinstance(other, FilterColumn):
            return one.compare_cells(comparison, other, is_wrong)
        if isinstance(one, FilterColumn):
            return one.compare(comparison, other, is_wrong)  # type: ignore[arg-type]  # a constant
        if isinstance(other, FilterColumn):
            return other.compare(_MIRRORED.get(comparison, comparison), one, is_wrong)
        raise _refused(self.expression, "it compares two constants")

    def _contains(self, left: ast.expr, right: ast.expr) -> NDArray[np.bool_]:
        """Rows of ``'text' in column`` or ``column in [...]``."""
        if isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            options = [self._constant(element) for element in right.elts]
            column = self._value(left)
            if not isinstance(column, FilterColumn):
                raise _refused(self.expression, "the left of 'in' is no column")
            return column.among(options)

        wanted = self._constant(left)
        column = self._value(right)
        if not isinstance(column, FilterColumn):
            raise _refused(self.expression, "the right of 'in' is no column and no list")
        if column.is_number:
            raise _refused(self.expression, "the right of 'in' is a column of numbers")
        return column.having(wanted)

    def _value(self, node: ast.expr) -> FilterColumn | Constant:
        """Find a column or a constant."""
        if not isinstance(node, ast.Name):
            return self._constant(node)

        name = self.names.get(node.id, node.id)
        known = self.columns.names
        if name not in known:
            allowed = ", ".join(known) or "none: export the model with --display"
            raise DataError(
                f"filter: '{name}' is no display column{nearest(name, known)}; there are {allowed}"
            )
        return self.columns.column(name)

    def _constant(self, node: ast.expr) -> Constant:
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float)):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self._constant(node.operand)
            if not isinstance(number, str):
                return -number
        raise _refused(
            self.expression, "it compares something that is neither a column nor a text or number"
        )
