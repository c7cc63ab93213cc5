"""Cells of one field of new users or items, as modality tables.

A cell is treated as the data set of training treats it: the same labels, the same scaling, the same missing values.
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
            cells: Arrow array ``[n]``: texts as in an atomic file, or values; null where a value is missing.

        Returns:
            A table of ``n + 1`` entities; row 0 is padding.

        Raises:
            DataError: A cell holds no value of the field's type.
        """
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
        return (
            self._bucketed(numbers, available)
            if self.spec.buckets
            else self._scalars(numbers, available)
        )

    def _label_numbers(self, labels: pa.Array) -> NDArray[np.int64]:
        """Find the number of each label; 0 for missing and unknown ones."""
        assert self.vocabulary is not None
        known, numbers = self.vocabulary
        if not len(known):
            return np.zeros(len(labels), dtype=np.int64)
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
        # numbers, or nothing but empty lists, may be labels too
        numbers = self._label_numbers(texts(elements))
        return bag_table(
            self.spec.name, ModalityKind.MULTI_LABEL, label_bags(numbers, sizes, self.spec.size)
        )

    def _numbers(self, cells: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Numbers ``[n]``, 0 where they are missing, and bool ``[n]``: False for those."""
        if pa.types.is_boolean(cells.type):
            cells = cells.cast(pa.int8())
        numbers = _to_numbers(cells, self._cell_error)
        available = ~np.isnan(numbers)
        self._check_finite(numbers[:, None], available)
        return np.where(available, numbers, 0.0), available

    def _scalars(self, numbers: NDArray[np.float64], available: NDArray[np.bool_]) -> ModalityTable:
        values = np.concatenate([[0], numbers]).astype(np.float32)[:, None]
        mask = np.concatenate([[False], available])
        return dense_table(
            self.spec.name, ModalityKind.SCALAR, torch.from_numpy(values), torch.from_numpy(mask), 1
        )

    def _bucketed(
        self, numbers: NDArray[np.float64], available: NDArray[np.bool_]
    ) -> ModalityTable:
        """Make a category of each number; a bucket without a training entity counts as missing."""
        assert self.spec.buckets is not None
        assert self.vocabulary is not None
        held = self.spec.buckets
        chosen = bucketed(numbers, held.method, held.size, Buckets(held.bounds, held.count)).astype(
            np.int64
        )
        known = np.isin(chosen, self.vocabulary[1])
        return self._categories(np.where(available & known, chosen, 0), available & known)

    def _vectors(self, cells: pa.Array) -> ModalityTable:
        """Make the modality of vectors, which must all have the length of training."""
        flat, sizes = self._elements(cells)
        available = sizes > 0
        wrong = np.flatnonzero(available & (sizes != self.spec.size))
        if len(wrong):
            row = int(wrong[0])
            raise self._cell_error(
                row, f"{sizes[row]} numbers", f"{self.spec.size}, or none where it is missing"
            )

        matrix = np.zeros((len(sizes) + 1, self.spec.size), dtype=np.float32)
        matrix[1:][available] = flat.reshape(-1, self.spec.size)
        self._check_finite(matrix[1:], available)
        if self.spec.range is not None:
            matrix[1:] = np.asarray(scaled(pd.Series(matrix[1:].ravel()), self.spec.range)).reshape(
                -1, self.spec.size
            )

        mask = torch.from_numpy(np.concatenate([[False], available]))
        return dense_table(
            self.spec.name, ModalityKind.VECTOR, torch.from_numpy(matrix), mask, self.spec.size
        )

    def _elements(self, cells: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Numbers of all vectors, one after the other, and how many each has."""
        elements, sizes = split_cells(cells, self.separator, self.spec.limit)
        if pa.types.is_float32(elements.type):
            stored: NDArray[np.float32] = elements.to_numpy(zero_copy_only=False)
            return stored, sizes

        owners = np.arange(len(sizes)).repeat(sizes)
        numbers = _to_numbers(elements, lambda at, *rest: self._cell_error(int(owners[at]), *rest))
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
            f"row {row + 1}, field '{self.spec.name}' ({self.spec.type}): found {found}, allowed is {allowed}"
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
        # pandas turns integers into floats where one is missing
        numbers = cells.to_numpy(zero_copy_only=False)
        if (
            np.all(np.isnan(numbers) | (numbers == np.round(numbers)))
            and np.nanmax(np.abs(numbers), initial=0) < 1 << 53
        ):
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

    elements = cells.flatten()
    sizes: NDArray[np.int64] = (
        pc.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    if pa.types.is_string(elements.type) or pa.types.is_large_string(elements.type):
        is_filled = pc.fill_null(pc.not_equal(elements, ""), False).to_numpy(zero_copy_only=False)
        owners = np.arange(len(sizes)).repeat(sizes)[is_filled]
        elements = elements.filter(pa.array(is_filled))
        sizes = np.bincount(owners, minlength=len(cells)).astype(np.int64)
    if limit is None or not len(sizes) or sizes.max() <= limit:
        return elements, sizes

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
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if (
        pa.types.is_integer(cells.type)
        or pa.types.is_floating(cells.type)
        or pa.types.is_decimal(cells.type)
    ):
        numbers: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return numbers

    as_text = texts(cells)
    converted = pd.to_numeric(
        pd.Series(as_text.to_pylist(), dtype=object), errors="coerce"
    ).to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(converted) & as_text.is_valid().to_numpy(zero_copy_only=False))
    if len(wrong):
        row = int(wrong[0])
        raise error(row, repr(as_text[row].as_py()), "a number")  # type: ignore[operator]
    return converted
