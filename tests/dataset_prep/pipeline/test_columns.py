from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.pipeline.columns import read_columns
from recbole_sibrar.dataset_prep.pipeline.raw import RawField, Values

IDS = pd.Index(["a", "b", "c"])


def field(kind: str, values: Values) -> RawField:
    return RawField("x", kind, lambda ids: values, "raw.tsv")


@pytest.mark.parametrize(
    ("kind", "values", "size", "available"),
    [
        ("token", pd.Series(["u", None, "u"]), 1, [True, False, True]),
        ("token_seq", pd.Series([["u", "v w"], [], ["u", " "]]), 2, [True, False, True]),
        ("float", pd.Series([np.nan, 0.0, 1.5]), 1, [False, True, True]),
        (
            "float_seq",
            np.array([[1, 2], [np.nan, np.nan], [0, 0]], dtype=np.float32),
            2,
            [True, False, True],
        ),
    ],
)
def test_size_and_availability_of_fields(
    tmp_path: Path, kind: str, values: Values, size: int, available: list[bool]
) -> None:
    (column,) = read_columns("item", [field(kind, values)], IDS, tmp_path)
    assert column.size == size
    assert column.available.tolist() == available
    rows = np.array([2, 0])
    some = column.take(rows)
    assert some.available.tolist() == [available[row] for row in rows]
    every = column.column.text(0, 3).to_pylist()
    assert some.column.text(0, 2).to_pylist() == [every[row] for row in rows]


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            "float",
            pd.Series([1.0, -np.inf, 0.0]),
            "raw.tsv, field 'x': the value of 'b' is infinite",
        ),
        (
            "float_seq",
            np.array([[1.0, 2], [3, 4], [np.nan, 1]]),
            "raw.tsv, field 'x': .* 'c' has a number nan",
        ),
        (
            "float_seq",
            np.array([[1.0, 1e39], [3, 4], [5, 1]]),
            "raw.tsv, field 'x': .* 'a' has a number inf",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_refuses_infinite_numbers(tmp_path: Path, kind: str, values: Values, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_columns("item", [field(kind, values)], IDS, tmp_path)


def test_size_counts_written_labels(tmp_path: Path) -> None:
    labels = pd.Series([['"live"', "rock"], ["rock", '"live"'], []])
    (column,) = read_columns("item", [field("token_seq", labels)], IDS, tmp_path)
    assert column.size == 2


def test_checks_vectors_in_constant_memory(tmp_path: Path) -> None:
    n, size = 2_000, 4_096
    matrix = np.ones((n, size), dtype=np.float32)
    matrix[5] = np.nan
    ids = pd.Index([str(row) for row in range(n)])
    tracemalloc.start()
    (column,) = read_columns("item", [field("float_seq", matrix)], ids, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.flatnonzero(~column.available).tolist() == [5]
    assert peak < n * size * 0.8  # a truth value for each number is n * size bytes
