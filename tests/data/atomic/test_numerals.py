"""The compiled reader of numbers: what it reads is bit for bit what Python reads, and the rest it leaves alone."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_sibrar.data.atomic.vectors import UNREAD

parse_cells = pytest.importorskip("recbole_sibrar.data.atomic.numerals").parse_cells

DTYPES = [np.float32, np.float64]


def parse(rows: list[list[str]], dtype: type[np.floating], size: int) -> tuple[np.ndarray, np.ndarray]:
    """How many numbers each row has, and the matrix, of ``nan`` where nothing was written."""
    cells = [" ".join(row).encode() for row in rows]
    ends = np.cumsum([len(cell) + 1 for cell in cells]) - 1
    out = np.full((len(rows), size), np.nan, dtype=dtype)
    bounds = np.stack([ends - [len(cell) for cell in cells], ends], axis=1)
    return parse_cells(b"\n".join([*cells, b""]), bounds, " ", out), out


def assert_as_python(number: str, dtype: type[np.floating]) -> bool:
    """A number is left unread, or read to the same bits as by Python; whether it was read."""
    counts, out = parse([[number]], dtype, 1)
    if counts[0] == UNREAD:
        return False
    with np.errstate(over="ignore"):
        expected = np.array([float(number)]).astype(dtype)
    assert counts[0] == 1
    assert np.isfinite(expected[0])
    assert out[0].tobytes() == expected.tobytes(), number
    return True


def decimals(n_digits: int) -> st.SearchStrategy[str]:
    """Numbers of up to so many digits, with a point anywhere and perhaps an exponent."""
    whole = st.text("0123456789", min_size=1, max_size=n_digits)
    point = st.tuples(whole, st.integers(0, n_digits)).map(lambda pair: f"{pair[0][: pair[1]]}.{pair[0][pair[1] :]}")
    exponent = st.one_of(st.just(""), st.integers(-70, 70).map(lambda n: f"e{n}"))
    return st.tuples(st.sampled_from(["", "-"]), st.one_of(whole, point), exponent).map("".join).filter(_is_number)


def _is_number(text: str) -> bool:
    return any(character.isdigit() for character in text.split("e")[0])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=1000)
@given(number=decimals(22))
def test_what_is_read_is_what_python_reads(dtype: type[np.floating], number: str) -> None:
    assert_as_python(number, dtype)


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@given(
    number=st.floats(2.0**-100, 2.0**100, width=32),
    n_digits=st.integers(15, 19),
    shift=st.integers(-3, 3),
    negative=st.booleans(),
)
def test_numbers_around_the_middle_of_two_floats_are_rounded_once(
    number: float, n_digits: int, shift: int, negative: bool
) -> None:
    middle = (Decimal(number) + Decimal(float(np.nextafter(np.float32(number), np.float32(np.inf))))) / 2
    digits, exponent = f"{middle:.{n_digits - 1}e}".split("e")
    text = f"{int(digits.replace('.', '')) + shift}e{int(exponent) - n_digits + 1}"
    assert_as_python(f"-{text}" if negative else text, np.float32)
    assert_as_python(text, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ordinary_numbers_are_all_read(dtype: type[np.floating]) -> None:
    values = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    for number in ["0", "-0", "-0.0", "1", "-12.5", "1e-7", "1e22", "123456789012345", "0.00001234", *map(str, values)]:
        assert assert_as_python(number, dtype), number


def test_float64_numbers_as_python_prints_them_are_nearly_all_read_to_float32() -> None:
    values = np.random.default_rng(0).normal(size=5000) / 30
    assert np.mean([assert_as_python(repr(float(value)), np.float32) for value in values]) > 0.999


@pytest.mark.parametrize(
    "cell",
    [
        "nan",
        "inf",
        "+1",
        "1e",
        "e5",
        "-",
        ".",
        "1-",
        "1.2.3",
        "0x1",
        "1e5e5",
        "1\t",
        "1e39",
        "1e400",
        "9" * 20,
        "1 2 3",
    ],
)
def test_what_takes_care_is_left_to_the_caller(cell: str) -> None:
    counts, out = parse([["1", "2"], [cell, "5"], ["3", "4"]], np.float32, 2)
    assert counts.tolist() == [2, UNREAD, 2]
    assert out[[0, 2]].tolist() == [[1, 2], [3, 4]]


def test_cells_have_as_many_numbers_as_counted_whatever_the_number_of_separators() -> None:
    counts, out = parse([[""], ["", "1", "", "", "-2.5", ""], ["7"]], np.float64, 2)
    assert counts.tolist() == [0, 2, 1]
    assert out[1].tolist() == [1, -2.5]
