"""The fast reading of text cells gives pandas' frame, or leaves the text to pandas."""

from __future__ import annotations

from io import BytesIO

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_sibrar.data.atomic.tables import read_plain

# the words that pandas' documentation lists as missing values, and some that are like them
WORDS = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
         "NULL", "NaN", "None", "n/a", "nan", "null", " ", " NA", "NA ", "Null", "na", "1", "01", "1.50", "true", "inf",
         "2020-01-01"]  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(codec="utf-8", exclude_characters='\t\n\r\0"'), max_size=8),
)


def with_pandas(text: bytes, columns: list[str]) -> pd.DataFrame:
    return pd.read_csv(BytesIO(text), sep="\t", dtype=str, usecols=columns, skip_blank_lines=False)


def assert_same(found: pd.DataFrame | None, expected: pd.DataFrame) -> None:
    assert found is not None
    assert list(found.columns) == list(expected.columns)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        for left, right in zip(found[name], expected[name], strict=True):
            assert type(left) is type(right)
            assert left == right or left != left


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_cells_are_those_of_pandas(rows: list[tuple[str, str, str]]) -> None:
    text = "\n".join("\t".join(row) for row in [("a:token", "b:token", "c:float"), *rows]) + "\n"
    for columns in (["a:token", "b:token", "c:float"], ["b:token"]):
        assert_same(read_plain(text.encode(), columns, "\t"), with_pandas(text.encode(), columns))


@settings(deadline=None, max_examples=100)
@given(cells=st.lists(CELLS, min_size=1, max_size=8))
def test_one_column_keeps_its_empty_cells(cells: list[str]) -> None:
    text = "\n".join(["a:token", *cells, ""]).encode()
    assert_same(read_plain(text, ["a:token"], "\t"), with_pandas(text, ["a:token"]))


def test_inner_quotation_marks_are_kept() -> None:
    text = b'a:token\tb:token\nx\tthe "best" one"\n'
    assert_same(
        read_plain(text, ["a:token", "b:token"], "\t"), with_pandas(text, ["a:token", "b:token"])
    )


@pytest.mark.parametrize(
    "line",
    [b'"x"\ty', b'x\t"y"', b"x\ty\rz", b"x\ty\0", b"x\t\xe9", b"x", b"x\ty\tz"],
    ids=lambda line: repr(line),
)
def test_unclear_text_is_left_to_pandas(line: bytes) -> None:
    assert read_plain(b"a:token\tb:token\n" + line + b"\n", ["a:token", "b:token"], "\t") is None


def test_long_cell_is_left_to_pandas() -> None:
    assert (
        read_plain(
            b"a:token\tb:token\n" + b"x" * (5 << 20) + b"\ty\nz\tw\n", ["a:token", "b:token"], "\t"
        )
        is None
    )
