from __future__ import annotations

import pytest
import torch
from scipy.sparse import csr_matrix

from recbole_sibrar.data.modality import (
    ModalityKind,
    bag_table,
    dense_table,
    id_table,
    with_known_labels,
)


def mask(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def test_missing_value_is_zero() -> None:
    vectors = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    table = dense_table("text", ModalityKind.VECTOR, vectors, mask(0, 1, 0, 1), 2)
    assert table.available.tolist() == [False, True, False, True]
    assert table.values is not None
    assert table.values.tolist() == [[0, 0], [1, 2], [0, 0], [5, 6]]
    assert (len(table), table.size, table.indices, table.offsets) == (4, 2, None, None)


def test_nan_leaves_no_trace() -> None:
    prices = torch.tensor([[float("nan")], [float("nan")], [2.0]])
    table = dense_table("price", ModalityKind.SCALAR, prices, mask(0, 0, 1), 1)
    assert table.values is not None
    assert table.values.tolist() == [[0], [0], [2]]


def test_padding_is_never_available() -> None:
    everyone = torch.ones(3, dtype=torch.bool)
    categories = dense_table("kind", ModalityKind.CATEGORICAL, torch.tensor([2, 1, 2]), everyone, 3)
    assert (
        categories.available.tolist()
        == id_table(everyone).available.tolist()
        == [False, True, True]
    )
    assert categories.values is not None
    assert categories.values.tolist() == [0, 1, 2]


def test_input_stays_as_it_was() -> None:
    values, available = torch.tensor([[1.0], [2.0], [3.0]]), mask(1, 0, 1)
    dense_table("price", ModalityKind.SCALAR, values, available, 1)
    id_table(available)
    assert values.flatten().tolist() == [1, 2, 3]
    assert available.tolist() == [True, False, True]


def test_bag_holds_sorted_distinct_ids() -> None:
    # entity 1 has the id 3 twice
    bags = csr_matrix(([1.0] * 4, [3, 1, 3, 2], [0, 0, 3, 3, 4]), shape=(4, 5))
    table = bag_table("tags", ModalityKind.MULTI_LABEL, bags)
    assert table.indices is not None
    assert table.offsets is not None
    assert table.indices.tolist() == [1, 3, 2]
    assert table.offsets.tolist() == [0, 0, 2, 2, 3]
    assert table.available.tolist() == [False, True, False, True]
    assert (len(table), table.size, table.values) == (4, 5, None)
    assert table.indices.dtype == table.offsets.dtype == torch.int64


@pytest.mark.parametrize(("row", "column"), [(0, 1), (1, 0)])
def test_a_bag_cannot_hold_padding(row: int, column: int) -> None:
    bags = csr_matrix(([1.0], ([row], [column])), shape=(2, 2))
    with pytest.raises(ValueError, match=r"modality 'tags': the padding row and the padding id 0"):
        bag_table("tags", ModalityKind.MULTI_LABEL, bags)


def test_id_has_no_values() -> None:
    table = id_table(mask(0, 1, 0, 1, 1))
    assert (table.name, table.kind, table.size) == ("id", ModalityKind.ID, 5)
    assert (table.values, table.indices, table.offsets) == (None, None, None)
    assert table.available.tolist() == [False, True, False, True, True]


def test_description_has_the_share() -> None:
    table = dense_table("text", ModalityKind.VECTOR, torch.zeros(5, 7), mask(0, 1, 0, 0, 0), 7)
    assert table.describe() == "text (vector, size 7, 25.0 % available)"
    assert "0.0 %" in id_table(mask(0)).describe()


def test_unknown_labels_are_left_out() -> None:
    # entities 1 and 5 are trained: they know 1, 2, 3 and 4
    bags = [
        [],
        [1, 4],
        [2, 4],
        [3],
        [],
        [2, 3],
    ]
    rows = [x for x, bag in enumerate(bags) for _ in bag]
    matrix = csr_matrix(
        ([1.0] * len(rows), (rows, [label for bag in bags for label in bag])), shape=(6, 5)
    )
    table = bag_table("tags", ModalityKind.MULTI_LABEL, matrix)
    for trained, expected in (
        (mask(0, 1, 0, 0, 0, 1), bags),
        (mask(0, 1, 0, 0, 0, 0), [[], [1, 4], [4], [], [], []]),
        (mask(0, 0, 0, 1, 1, 0), [[], [], [], [3], [], [3]]),
        (mask(0, 0, 0, 0, 0, 0), [[], [], [], [], [], []]),
    ):
        known = with_known_labels(table, trained)
        assert known.indices is not None
        assert known.offsets is not None
        assert [
            part.tolist() for part in known.indices.tensor_split(known.offsets[1:-1])
        ] == expected
        assert known.available.tolist() == [bool(bag) for bag in expected]
        assert (known.name, known.kind, known.size) == (table.name, table.kind, table.size)
    assert table.available.tolist() == [bool(bag) for bag in bags]


def test_unknown_category_is_missing() -> None:
    values = torch.tensor([0, 3, 1, 2, 3, 1])
    table = dense_table("year", ModalityKind.CATEGORICAL, values, mask(0, 1, 1, 1, 1, 0), 4)
    # entity 5 is trained, but has no value
    known = with_known_labels(table, mask(0, 1, 0, 1, 0, 1))
    assert known.available.tolist() == [False, True, False, True, True, False]
    assert known.values is not None
    assert known.values.tolist() == [0, 3, 0, 2, 3, 0]


def test_other_kinds_stay_as_they_are() -> None:
    everyone = torch.ones(3, dtype=torch.bool)
    bags = csr_matrix(([1.0], ([1], [1])), shape=(3, 2))
    for table in (
        dense_table("text", ModalityKind.VECTOR, torch.randn(3, 2), everyone, 2),
        bag_table("interactions", ModalityKind.INTERACTIONS, bags),
        id_table(everyone),
    ):
        assert with_known_labels(table, mask(0, 0, 0)) is table
