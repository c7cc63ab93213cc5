"""Filters: each comparison as Python makes it, cell by cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recbole_sibrar.errors import DataError
from recbole_sibrar.serving.filter_columns import FilterColumns
from recbole_sibrar.serving.filters import evaluate

COLUMNS: dict[str, list[Any]] = {
    "kind": ["c1", "c2", None, "12", "é", ""],
    "year": [1979, 12, None, 3, 0, -4],
    "price": [1.5, None, 12.0, float("nan"), 0.0, -4.0],
    "tags": [["a", "b"], ["12"], None, [], ["b"], ["a b"]],
    "nothing": [None] * 6,
}


def found(expression: str) -> list[bool]:
    return evaluate(expression, FilterColumns(pa.table(COLUMNS))).tolist()


def cells(name: str, holds: Callable[[Any], bool]) -> list[bool]:
    """Rows whose cell is not missing and fulfils a condition."""
    return [cell is not None and bool(holds(cell)) for cell in COLUMNS[name]]


@pytest.mark.parametrize(
    ("expression", "name", "holds"),
    [
        ("kind == 'c1'", "kind", lambda cell: cell == "c1"),
        ("kind > 'c1'", "kind", lambda cell: cell > "c1"),
        ("'c2' <= kind", "kind", lambda cell: cell >= "c2"),
        ("kind == 12", "kind", lambda cell: cell == "12"),
        ("kind in ['c2', 12, 'x']", "kind", lambda cell: cell in ("c2", "12")),
        ("kind not in ['c2', 12] and kind >= ''", "kind", lambda cell: cell not in ("c2", "12")),
        ("'c' in kind", "kind", lambda cell: "c" in cell),
        ("0 < year < 1000", "year", lambda cell: 0 < cell < 1000),
        ("year == '12'", "year", lambda cell: cell == 12),
        ("year in [3, '0', 4.5]", "year", lambda cell: cell in (3, 0)),
        ("year < 99999999999999999999", "year", lambda cell: True),
        ("price >= -4", "price", lambda cell: cell >= -4),
        ("price == year", "price", lambda cell: cell in (0, -4)),
        ("'b' in tags", "tags", lambda cell: "b" in cell),
        ("tags == 'a b'", "tags", lambda cell: cell in (["a", "b"], ["a b"])),
        ("12 in tags", "tags", lambda cell: False),
        ("nothing == 1 or 'x' in nothing or nothing in [1, 'x']", "kind", lambda cell: False),
    ],
)
def test_comparisons(expression: str, name: str, holds: Callable[[Any], bool]) -> None:
    assert found(expression) == cells(name, holds)


def test_missing_cells_are_unequal() -> None:
    assert found("year != 3") == [True, True, True, False, True, True]
    assert found("kind != 5") == [True] * 6
    assert found("nothing != 'x'") == [True] * 6


@pytest.mark.parametrize(
    "expression",
    ["1 == 1", "'a' in 'ab'", "1 in [1]", "'x' in year", "year", "year is 3", "len(kind)"],
)
def test_what_is_no_condition(expression: str) -> None:
    with pytest.raises(DataError, match="filter"):
        found(expression)


@pytest.mark.parametrize("term", ["kind == 'x{}'", "year < -{}", "'x{}' in tags", "title == '{}'"])
def test_a_thousand_comparisons(term: str) -> None:
    """As many as an expression has room for take less than a second, also for texts that are all different."""
    n = 20_000
    numbers = np.arange(n)
    table = pa.table(
        {
            "kind": [f"c{number % 9}" for number in numbers],
            "year": numbers,
            "tags": [[f"t{number % 9}", "u"] for number in numbers],
            "title": [f"film {number}" for number in numbers],
        }
    )
    columns = FilterColumns(table)
    expression = " or ".join(term.format(number) for number in range(500))
    # prepares the columns
    evaluate("kind == 'x' or year < 0 or 'x' in tags or title == 'x'", columns)
    started = time.process_time()
    assert not evaluate(expression[:9900].rpartition(" or ")[0], columns)[1:].any()
    assert time.process_time() - started < 1
