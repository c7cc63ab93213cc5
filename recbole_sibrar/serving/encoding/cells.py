"""Cells of one field of new users or items, as modality tables.

A cell is treated as the data set of training treats it: the same labels, the same scaling, the same
missing values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.data.modality import ModalityKind, ModalityTable, bag_table, dense_table
from recbole_sibrar.data.record.scaling import Buckets, bucketed, scaled
from recbole_sibrar.errors import DataError
from recbole_sibrar.serving.bundle.manifest import FieldSpec

__all__ = ["FieldReader", "label_bags", "split_cells", "texts"]

Vocabulary = tuple[pa.Array, NDArray[np.int64]]
"""Labels of a field, and the number of each."""


@dataclass(frozen=True)
class FieldReader:
    """Reader of one field."""

    spec: FieldSpec
    """The field."""
    vocabulary: Vocabulary | None
    """Labels with a training entity; None for a field without labels."""
    separator: str
    """Separator of the elements of a sequence."""

    def table(self, cells: pa.Array) -> ModalityTable:
        """Make the modality of the field.

        Args:
            cells: Arrow array ``[n]``: texts as in an atomic file, or values; null where a value is
                missing.

        Returns:
            A table of ``n + 1`` entities; row 0 is padding.

        Raises:
            DataError: A cell holds no value of the field's type.
        """
        # The first list, for the message.
        if not self.spec.type.endswith("seq") and _is_list(cells.type):
            row = int(np.argmax(cells.is_valid().to_numpy(zero_copy_only=False)))
            raise self._cell_error(row, "a list", "a single value")
        if self.spec.type == "token":
            labels = self._label_numbers(texts(cells))
            return self._categories(labels, labels > 0)
        if self.spec.type == "token_seq":
            return self._labels(cells)
        if self.spec.type == "float_seq":
            return self._vectors(cells)

        numbers, available = self._numbers(cells)
        if self.spec.range is not None:
            numbers = np.asarray(scaled(pd.Series(numbers), self.spec.range), dtype=np.float64)
        # RecBole scales to [0, 1] before it divides into buckets.
        if self.spec.buckets:
            return self._bucketed(numbers, available)
        return self._scalars(numbers, available)

    def count_unknown(self, cells: pa.Array) -> int:
        """Count the labels that training did not know; an empty cell has none.

        Args:
            cells: As for :meth:`table`.
        """
        if self.spec.type == "token":
            labels = texts(cells)
        elif self.spec.type == "token_seq":
            labels = texts(split_cells(cells, self.separator, self.spec.limit)[0])
        else:
            return 0
        is_given = labels.is_valid().to_numpy(zero_copy_only=False)
        return int((is_given & (self._label_numbers(labels) == 0)).sum())

    def _label_numbers(self, labels: pa.Array) -> NDArray[np.int64]:
        """Find the number of each label; 0 for missing and unknown ones."""
        assert self.vocabulary is not None
        known, numbers = self.vocabulary
        if not len(known):
            return np.zeros(len(labels), dtype=np.int64)

        # Labels that training did not know count as missing, as in a data set with known labels.
        found = pc.index_in(labels, value_set=known, skip_nulls=True)
        places = found.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.where(places >= 0, numbers[places], 0)

    def _categories(
        self, numbers: NDArray[np.int64], available: NDArray[np.bool_]
    ) -> ModalityTable:
        values = torch.from_numpy(np.concatenate([[0], numbers]))
        mask = torch.from_numpy(np.concatenate([[False], available]))
        return dense_table(self.spec.name, ModalityKind.CATEGORICAL, values, mask, self.spec.size)

    def _labels(self, cells: pa.Array) -> ModalityTable:
        elements, sizes = split_cells(cells, self.separator, self.spec.limit)
        # Numbers, or nothing but empty lists, may be labels too.
        numbers = self._label_numbers(texts(elements))
        bags = label_bags(numbers, sizes, self.spec.size)
        return bag_table(self.spec.name, ModalityKind.MULTI_LABEL, bags)

    def _numbers(self, cells: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Numbers ``[n]``, 0 where they are missing, and bool ``[n]``: False for those."""
        if pa.types.is_boolean(cells.type):
            cells = cells.cast(pa.int8())
        numbers = _to_numbers(cells, self._cell_error)
        available = ~np.isnan(numbers)
        self._check_finite(numbers[:, None], available)
        return np.where(available, numbers, 0.0), available

    def _scalars(self, numbers: NDArray[np.float64], available: NDArray[np.bool_]) -> ModalityTable:
        values = torch.from_numpy(np.concatenate([[0], numbers]).astype(np.float32))
        mask = torch.from_numpy(np.concatenate([[False], available]))
        return dense_table(self.spec.name, ModalityKind.SCALAR, values[:, None], mask, 1)

    def _bucketed(
        self, numbers: NDArray[np.float64], available: NDArray[np.bool_]
    ) -> ModalityTable:
        """Make a category of each number; a bucket without a training entity counts as missing."""
        assert self.spec.buckets is not None
        assert self.vocabulary is not None
        held = self.spec.buckets
        buckets = Buckets(held.bounds, held.count)
        chosen = bucketed(numbers, held.method, held.size, buckets).astype(np.int64)
        # The embedding of a bucket without a training entity was never trained.
        usable = available & np.isin(chosen, self.vocabulary[1])
        return self._categories(np.where(usable, chosen, 0), usable)

    def _vectors(self, cells: pa.Array) -> ModalityTable:
        """Make the modality of vectors, which must all have the length of training."""
        flat, sizes = self._elements(cells)
        available = sizes > 0
        wrong = np.flatnonzero(available & (sizes != self.spec.size))
        if len(wrong):
            row = int(wrong[0])
            allowed = f"{self.spec.size}, or none where it is missing"
            raise self._cell_error(row, f"{sizes[row]} numbers", allowed)

        # Row 0 is padding, which is not scaled.
        size = self.spec.size
        matrix = np.zeros((len(sizes) + 1, size), dtype=np.float32)
        matrix[1:][available] = flat.reshape(-1, size)
        self._check_finite(matrix[1:], available)
        if self.spec.range is not None:
            numbers = scaled(pd.Series(matrix[1:].ravel()), self.spec.range)
            matrix[1:] = np.asarray(numbers).reshape(-1, size)

        values = torch.from_numpy(matrix)
        mask = torch.from_numpy(np.concatenate([[False], available]))
        return dense_table(self.spec.name, ModalityKind.VECTOR, values, mask, size)

    def _elements(self, cells: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Numbers of all vectors, one after the other, and how many each has."""
        elements, sizes = split_cells(cells, self.separator, self.spec.limit)
        # Vectors are float32 mostly: a way over float64 takes time and memory.
        if pa.types.is_float32(elements.type):
            stored: NDArray[np.float32] = elements.to_numpy(zero_copy_only=False)
            return stored, sizes

        owners = np.arange(len(sizes)).repeat(sizes)

        def error_of_element(place: int, found: str, allowed: str) -> DataError:
            return self._cell_error(int(owners[place]), found, allowed)

        numbers = _to_numbers(elements, error_of_element)
        return numbers.astype(np.float32), sizes

    def _check_finite(
        self, values: NDArray[np.floating[Any]], available: NDArray[np.bool_]
    ) -> None:
        """Refuse infinite numbers, and NaN inside of a vector."""
        wrong = np.flatnonzero(available & ~np.isfinite(values).all(1))
        if len(wrong):
            raise self._cell_error(int(wrong[0]), "a number that is not finite", "finite numbers")

    def _cell_error(self, row: int, found: str, allowed: str) -> DataError:
        """Error about the cell of a row, counted from 0."""
        return DataError(
            f"row {row + 1}, field '{self.spec.name}' ({self.spec.type}): found {found}, allowed "
            f"is {allowed}"
        )


def texts(cells: pa.Array) -> pa.Array:
    """Convert cells to texts as an atomic file has them; null where a cell is missing or empty.

    Example:
        >>> texts(pa.array([7.0, None])).to_pylist(), texts(pa.array(["a", ""])).to_pylist()
        (['7', None], ['a', None])
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_floating(cells.type):
        # pandas turns integers into floats where one is missing. Beyond 2 ** 53 a float does not
        # tell which integer it was.
        numbers = cells.to_numpy(zero_copy_only=False)
        is_whole = np.isnan(numbers) | (numbers == np.round(numbers))
        if np.all(is_whole) and np.nanmax(np.abs(numbers), initial=0) < 1 << 53:
            cells = pa.array(numbers, from_pandas=True).cast(pa.int64())
    as_text = cells.cast(pa.string())
    return pc.if_else(pc.equal(as_text, ""), pa.scalar(None, pa.string()), as_text)


def split_cells(
    cells: pa.Array, separator: str, limit: int | None = None
) -> tuple[pa.Array, NDArray[np.int64]]:
    """Split cells into their elements.

    Args:
        cells: Texts with a separator between elements, or lists of elements.
        separator: The separator.
        limit: Largest number of elements of a cell; None for any.

    Returns:
        The elements of all cells, one after the other, and int64 ``[n]``: how many each has.
    """
    if pa.types.is_null(cells.type):
        return pa.array([], pa.string()), np.zeros(len(cells), dtype=np.int64)
    if not _is_list(cells.type):
        cells = pc.split_pattern(texts(cells), separator)

    # Arrow's flatten leaves missing cells out, so that they have the length 0.
    elements = cells.flatten()
    lengths = pc.list_value_length(cells).fill_null(0)
    sizes: NDArray[np.int64] = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_string(elements.type) or pa.types.is_large_string(elements.type):
        # Two separators in a row make an empty element, which RecBole leaves out too.
        filled = pc.fill_null(pc.not_equal(elements, ""), False)
        is_filled = filled.to_numpy(zero_copy_only=False)
        owners = np.arange(len(sizes)).repeat(sizes)[is_filled]
        elements = elements.filter(filled)
        sizes = np.bincount(owners, minlength=len(cells)).astype(np.int64)
    if limit is None or not len(sizes) or sizes.max() <= limit:
        return elements, sizes

    # Place of each element in its cell.
    starts = (np.cumsum(sizes) - sizes).repeat(sizes)
    kept = np.arange(len(starts)) - starts < limit
    return elements.filter(pa.array(kept)), np.minimum(sizes, limit)


def label_bags(numbers: NDArray[np.int64], sizes: NDArray[np.int64], n_labels: int) -> csr_matrix:
    """Make the bags of labels, with an empty row 0 for padding.

    Args:
        numbers: int64 ``[nnz]``: numbers of the labels; those of 0 are left out.
        sizes: int64 ``[n]``: how many of them each entity has.
        n_labels: Number of labels, padding included.
    """
    owners = np.arange(1, len(sizes) + 1).repeat(sizes)
    kept = numbers > 0
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return csr_matrix((ones, (owners[kept], numbers[kept])), shape=(len(sizes) + 1, n_labels))


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _to_numbers(cells: pa.Array, error: object) -> NDArray[np.float64]:
    """Convert cells to numbers, NaN where a cell is missing."""
    kind = cells.type
    if pa.types.is_null(kind):
        return np.full(len(cells), np.nan)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return numbers

    # By pandas, which RecBole reads the files with.
    as_text = texts(cells)
    column = pd.Series(as_text.to_pylist(), dtype=object)
    converted = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    is_given = as_text.is_valid().to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(np.isnan(converted) & is_given)
    if len(wrong):
        row = int(wrong[0])
        raise error(row, repr(as_text[row].as_py()), "a number")  # type: ignore[operator]
    return converted
