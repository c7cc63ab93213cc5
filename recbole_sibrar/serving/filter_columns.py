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
        # Two threads may prepare it at once, with the same result.
        if name not in self._prepared:
            self._prepared[name] = FilterColumn(self.table.column(name))
        return self._prepared[name]


class FilterColumn:
    """Cells of a column; those of several elements count as one text in a comparison.

    Args:
        cells: The column.
    """

    def __init__(self, cells: pa.ChunkedArray) -> None:
        array = cells.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks)

        types = pa.types
        kind = array.type
        is_truth = types.is_boolean(kind)
        self.n = len(array)
        self.has_elements = (
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )
        self.is_number = types.is_integer(kind) or types.is_floating(kind) or is_truth
        # true and false count as 1 and 0, as in Python.
        self.array = array.cast(pa.int8()) if is_truth else array
        self.is_valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)

    @cached_property
    def _distinct(self) -> tuple[pa.Array, NDArray[np.int64]]:
        """Distinct texts, and the number of each cell's; see :func:`_encode`."""
        texts = self.array
        if self.has_elements:
            lists = texts.to_pylist()
            joined = [None if cell is None else " ".join(map(str, cell)) for cell in lists]
            texts = pa.array(joined, pa.string())
        return _encode(texts.cast(pa.string()))

    @cached_property
    def _elements(self) -> tuple[pa.Array, NDArray[np.int64], NDArray[np.int64]]:
        """Distinct elements of all cells, the number of each element's, and its row."""
        # Arrow's flatten leaves missing cells out, so that they have the length 0.
        sizes = pc.list_value_length(self.array).fill_null(0).to_numpy(zero_copy_only=False)
        elements, codes = _encode(self.array.flatten())
        return elements, codes, np.arange(self.n).repeat(sizes)

    @cached_property
    def _read_texts(self) -> list[int | float | None]:
        """Number that each distinct text is, such as a year; None for other texts."""
        texts, _ = self._distinct
        return [as_number(text) for text in texts.to_pylist()]

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """Numbers of the cells, int64 or float64 ``[n]``; NaN, or 0 among integers, without one."""
        if self.is_number:
            # As floats, integers beyond 2 ** 53 would lose their last digits: they have no NaN.
            filled = self.array
            if pa.types.is_integer(filled.type):
                filled = filled.fill_null(0)
            numbers: NDArray[Any] = filled.to_numpy(zero_copy_only=False)
            return numbers

        _, codes = self._distinct
        read = [np.nan if number is None else number for number in self._read_texts]
        return np.array([*read, np.nan])[codes]

    @cached_property
    def has_number(self) -> NDArray[np.bool_]:
        """bool ``[n]``: cells of a column of numbers, or texts of numbers such as years."""
        if self.is_number:
            return self.is_valid

        _, codes = self._distinct
        is_number = [number is not None for number in self._read_texts]
        return np.array([*is_number, False])[codes]

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
            # Arrow compares the bytes of UTF-8, whose order is that of code points, as Python's.
            found = _OF_TEXTS[comparison](texts, value).to_numpy(zero_copy_only=False)
            # The last place is that of missing cells.
            return np.append(found, otherwise)[codes]

        number = as_number(value)
        if number is None:
            return np.full(self.n, otherwise)
        found = comparison(self.numbers, number)
        return np.where(self.has_number, found, otherwise).astype(bool)

    def among(self, options: Sequence[Constant]) -> NDArray[np.bool_]:
        """Mark the cells that equal an option, bool ``[n]``."""
        wanted_texts: list[str] = []
        wanted_numbers: list[int | float] = []
        for option in options:
            # A text is read as a number where the column holds numbers.
            if isinstance(option, str) and not self.is_number:
                wanted_texts.append(option)
                continue
            number = as_number(option)
            if number is not None:
                wanted_numbers.append(number)

        found = self.has_number & np.isin(self.numbers, np.array(wanted_numbers))
        if wanted_texts:
            texts, codes = self._distinct
            value_set = pa.array(wanted_texts, pa.string())
            equal = pc.is_in(texts, value_set=value_set).to_numpy(zero_copy_only=False)
            found |= np.append(equal, False)[codes]
        return np.asarray(found, dtype=bool)

    def compare_cells(
        self, comparison: Comparison, other: FilterColumn, otherwise: bool
    ) -> NDArray[np.bool_]:
        """Compare the cells with those of another column, bool ``[n]``."""
        if not self.is_number and not other.is_number:
            found = comparison(self.texts(), other.texts())
            both = self.is_valid & other.is_valid
        else:
            found = comparison(self.numbers, other.numbers)
            both = self.has_number & other.has_number
        return np.where(both, found, otherwise).astype(bool)

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
            # Arrow refuses to look for a number among texts.
            if not isinstance(wanted, str):
                return -1
            return int(pc.index(elements, wanted).as_py())

        listed = elements.to_pylist()
        return listed.index(wanted) if wanted in listed else -1


def _encode(cells: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Distinct values, and the number of each cell's, int64 ``[n]``."""
    # A missing cell has the number behind the last: one more result stands for all of them.
    encoded = cells.dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary))
    return encoded.dictionary, codes.to_numpy(zero_copy_only=False).astype(np.int64)


def as_number(value: Constant) -> int | float | None:
    """Read a number from a constant or a text; None if it is none."""
    # Integers of more than 64 bits fit no array: the nearest float stands for them.
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return int(value)
    try:
        return float(value)
    except OverflowError:  # an integer beyond the numbers of float
        return float("inf") if int(value) > 0 else float("-inf")
    except ValueError:
        return None
