"""Columns prepared for filters: a comparison is made once for each distinct value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Constant", "FilterColumn", "FilterColumns", "as_number"]

Constant: TypeAlias = "str | int | float"
"""Value in an expression."""

_OF_TEXTS: dict[Any, Callable[[pa.Array, str], pa.BooleanArray]] = {
    operator.eq: pc.equal,
    operator.ne: pc.not_equal,
    operator.lt: pc.less,
    operator.le: pc.less_equal,
    operator.gt: pc.greater,
    operator.ge: pc.greater_equal,
}

Comparison: TypeAlias = "Callable[[Any, Any], Any]"
"""A function of :mod:`operator`."""


class FilterColumns:
    """Columns of a table, prepared when an expression names them.

    Args:
        table: The columns.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.n: int = table.num_rows
        self._prepared: dict[str, FilterColumn] = {}

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.table.column_names
        return names

    def column(self, name: str) -> FilterColumn:
        """Return a column."""
        if name not in self._prepared:  # two threads may prepare it at once, with the same result
            self._prepared[name] = FilterColumn(self.table.column(name))
        return self._prepared[name]


class FilterColumn:
    """Cells of a column; those of several elements count as one text in a comparison.

    Args:
        cells: The column.
    """

    def __init__(self, cells: pa.ChunkedArray) -> None:
        combined = cells.combine_chunks()
        array = (
            pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined
        )
        kind = array.type
        self.n = len(array)
        self.has_elements = (
            pa.types.is_list(kind)
            or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)
        )
        self.is_number = (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        )
        self.array = array.cast(pa.int8()) if pa.types.is_boolean(kind) else array
        self.is_valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)

    @cached_property
    def _distinct(self) -> tuple[pa.Array, NDArray[np.int64]]:
        """Distinct texts, and the number of each cell's; that of a missing cell is the number of texts."""
        texts = self.array
        if self.has_elements:
            lists = texts.to_pylist()
            texts = pa.array(
                [None if cell is None else " ".join(map(str, cell)) for cell in lists], pa.string()
            )
        encoded = texts.cast(pa.string()).dictionary_encode()
        codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        return encoded.dictionary, codes.astype(np.int64)

    @cached_property
    def _elements(self) -> tuple[pa.Array, NDArray[np.int64], NDArray[np.int64]]:
        """Distinct elements of all cells, the number of each element's, and the row that it is in."""
        sizes = pc.list_value_length(self.array).fill_null(0).to_numpy(zero_copy_only=False)
        encoded = self.array.flatten().dictionary_encode()
        codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        return encoded.dictionary, codes.astype(np.int64), np.arange(self.n).repeat(sizes)

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """Numbers of the cells, int64 or float64 ``[n]``; NaN, or 0 in a column of integers, where there is none."""
        if self.is_number:
            filled = self.array.fill_null(0) if pa.types.is_integer(self.array.type) else self.array
            numbers: NDArray[Any] = filled.to_numpy(zero_copy_only=False)
            return numbers
        texts, codes = self._distinct
        read = [as_number(text) for text in texts.to_pylist()]
        return np.array([*(np.nan if number is None else number for number in read), np.nan])[codes]

    @cached_property
    def has_number(self) -> NDArray[np.bool_]:
        """Cells that are numbers, bool ``[n]``: of a column of numbers, or texts of numbers such as years."""
        if self.is_number:
            return self.is_valid
        texts, codes = self._distinct
        return np.array([*(as_number(text) is not None for text in texts.to_pylist()), False])[
            codes
        ]

    def compare(
        self, comparison: Comparison, value: Constant, otherwise: bool
    ) -> NDArray[np.bool_]:
        """Compare the cells with a constant, bool ``[n]``.

        Args:
            comparison: The comparison.
            value: The constant.
            otherwise: Result for missing cells, and for texts and numbers that cannot be compared.
        """
        if isinstance(value, str) and not self.is_number:
            texts, codes = self._distinct
            # Arrow compares the bytes of UTF-8, whose order is that of code points, as Python's
            found = _OF_TEXTS[comparison](texts, value).to_numpy(zero_copy_only=False)
            return np.append(found, otherwise)[codes]

        number = as_number(value)
        if number is None:
            return np.full(self.n, otherwise)
        return np.where(self.has_number, comparison(self.numbers, number), otherwise).astype(bool)

    def among(self, options: Sequence[Constant]) -> NDArray[np.bool_]:
        """Mark the cells that equal an option, bool ``[n]``."""
        of_text = [option for option in options if isinstance(option, str) and not self.is_number]
        read = [
            as_number(option) for option in options if self.is_number or not isinstance(option, str)
        ]
        found = self.has_number & np.isin(
            self.numbers, np.array([number for number in read if number is not None])
        )
        if of_text:
            texts, codes = self._distinct
            equal = pc.is_in(texts, value_set=pa.array(of_text, pa.string())).to_numpy(
                zero_copy_only=False
            )
            found |= np.append(equal, False)[codes]
        return np.asarray(found, dtype=bool)

    def compare_cells(
        self, comparison: Comparison, other: FilterColumn, otherwise: bool
    ) -> NDArray[np.bool_]:
        """Compare the cells with those of another column, bool ``[n]``."""
        if not self.is_number and not other.is_number:
            found = comparison(self.texts(), other.texts())
            return np.where(self.is_valid & other.is_valid, found, otherwise).astype(bool)
        found = comparison(self.numbers, other.numbers)
        return np.where(self.has_number & other.has_number, found, otherwise).astype(bool)

    def texts(self) -> NDArray[np.object_]:
        """Texts of the cells, object ``[n]``; empty where a cell is missing."""
        texts, codes = self._distinct
        return np.array([*texts.to_pylist(), ""], dtype=object)[codes]

    def having(self, wanted: Constant) -> NDArray[np.bool_]:
        """Mark the cells with an element, or with a part of their text, bool ``[n]``."""
        if not self.has_elements:
            texts, codes = self._distinct
            found = pc.match_substring(texts, str(wanted)).to_numpy(zero_copy_only=False)
            return np.append(found, False)[codes]

        _, codes, rows = self._elements
        number = self._number_of_element(wanted)
        return np.asarray(np.bincount(rows[codes == number], minlength=self.n) > 0)

    def _number_of_element(self, wanted: Constant) -> int:
        """Find the number of an element; -1 if no cell has it."""
        elements, _, _ = self._elements
        if pa.types.is_string(elements.type) or pa.types.is_large_string(elements.type):
            return int(pc.index(elements, wanted).as_py()) if isinstance(wanted, str) else -1
        listed = elements.to_pylist()
        return listed.index(wanted) if wanted in listed else -1


def as_number(value: Constant) -> int | float | None:
    """Read a number from a constant or a text; None if it is none."""
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return int(value)
    try:
        return float(value)
    except OverflowError:  # an integer beyond the numbers of float
        return float("inf") if int(value) > 0 else float("-inf")
    except ValueError:
        return None
