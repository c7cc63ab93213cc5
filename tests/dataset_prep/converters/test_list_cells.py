from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recbole_sibrar.dataset_prep.converters.generic.list_cells import (
    CellList,
    kind_of_lists,
    parse_list,
)

LABELS = st.lists(
    st.text(alphabet=st.sampled_from(list("aZ9 é音'\",|-[]{}\\")), min_size=1).filter(str.strip)
)


@given(LABELS)
def test_printed_texts_are_read_back(labels: list[str]) -> None:
    for printed in (
        json.dumps(labels),
        json.dumps(labels, ensure_ascii=False),
        str(labels),
        str(tuple(labels)),
    ):
        found = parse_list(printed)
        assert found is not None
        assert found.elements == labels


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=30)
)
@example([0.001953125])
def test_printed_numbers_are_read_back(numbers: list[float]) -> None:
    # all digits; NumPy prints eight decimals otherwise
    with np.printoptions(threshold=10**6, floatmode="unique"):
        for printed in (json.dumps(numbers), str(numbers), str(np.array(numbers))):
            found = parse_list(printed)
            assert found is not None
            assert found.is_numeric
            assert [float(element) for element in found.elements] == numbers


@pytest.mark.parametrize(
    ("cell", "elements"),
    [
        ("[27, 9]", ["27", "9"]),
        ("['a' 'b c']", ["a", "b c"]),  # NumPy has no commas
        ("[rock, indie pop]", ["rock", "indie pop"]),  # Java has no quotation marks
        ("[]", []),
        ("['a', None, nan]", ["a"]),
        ('["a", null, true]', ["a", "true"]),
        ("(3,)", ["3"]),
        (" [ 1 2\n 3 ] ", ["1", "2", "3"]),
        ("[007, 010]", ["007", "010"]),
    ],
)
def test_every_usual_form_is_read(cell: str, elements: list[str]) -> None:
    found = parse_list(cell)
    assert found is not None
    assert found.elements == elements


@pytest.mark.parametrize(
    "cell",
    [
        "[REC] 2",
        "a [b]",
        "[1, 2",
        "[{'id': 1}]",
        "[[1, 2], [3]]",
        "[0.1 0.2 ... 0.9]",
        "['O'Reilly']",
        "[",
        "{}",
    ],
)
def test_anything_else_is_no_list(cell: str) -> None:
    assert parse_list(cell) is None


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["[0.5, 1]", "[2, 3]"], "float_seq"),
        (["[-1, 1e-3]"], "float_seq"),
        (["[0, 1, 0, 0]", "[1, 0, 0, 1]"], "float_seq"),  # labels are not repeated
        (["[27, 9]", "[3, 4]"], "token_seq"),
        (["[27, 9]", "[3]", "[]"], "token_seq"),
        (["['0.5', '1']"], "token_seq"),
        (["[0.5, 1]", "[2]"], None),
    ],
)
def test_vectors_are_told_from_labels(cells: list[str], kind: str | None) -> None:
    lists = [parse_list(cell) or CellList([], False) for cell in cells]
    assert kind_of_lists(lists)[0] == kind
