"""Compiled reading of decimal numbers, which needs the extra ``fast`` (numba): cells of text to rows of a matrix.

PyArrow, the fastest library measured, reads 10 to 13 million numbers a second and core, this 50 to 60, without Python's
lock. It reads a row only where it is sure of what Python would read, and leaves all others to its caller, so that the
values do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from recbole_sibrar.data.atomic.vectors import UNREAD

_U = np.uint64
_MINUS, _POINT, _ZERO, _E = (_U(ord(character)) for character in "-.0e")

_EXACT = 22
"""Powers of ten up to this one are floats, as are integers up to 2**53: one operation on both rounds correctly."""

_POWERS = np.array([float(f"1e{k}") for k in range(65)])

_BELOW, _ABOVE = 1 - 2.0**-50, 1 + 2.0**-50


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


@_compiled(inline="always")
def _leading_zeros(text: np.ndarray, i: np.uint64) -> np.uint64:
    """How many zeros a number begins with; they take no room in its integer."""
    n_zeros = _U(0)
    while text[i] == _ZERO or text[i] == _POINT:
        n_zeros += _U(text[i] == _ZERO)
        i += _U(1)
    return n_zeros


@_compiled(nogil=True)
def _parse(text: Any, words: Any, cells: Any, separator: np.uint8, powers: Any, largest: float, out: Any) -> Any:
    # one function, as only so the compiler keeps its speed; what has no sign needs no check of it before an index
    counts = np.zeros(len(cells), dtype=np.int64)
    for row in range(len(cells)):
        i, end = _U(cells[row, 0]), _U(cells[row, 1])
        while i < end:
            if text[i] == separator:
                i += _U(1)
                continue
            negative = text[i] == _MINUS
            if negative:
                i += _U(1)
            first = start = i
            i, integer = _digits(text, i, _U(0))
            scale, n_digits = np.int64(0), i - start
            if text[i] == _POINT:
                i += _U(1)
                start = i
                if i < _U(len(words)) and _are_digits(words[i]):
                    integer = integer * _U(100000000) + _value(words[i])
                    i += _U(8)
                i, integer = _digits(text, i, integer)
                scale = -np.int64(i - start)
                n_digits += i - start
            if text[i] == _E:
                i, exponent = _exponent(text, i + _U(1))
                scale += exponent
            if n_digits > _U(19):
                n_digits -= _leading_zeros(text, first)
            # 19 digits fit into 64 bits
            usable = n_digits > _U(0) and n_digits <= _U(19) and (i == end or text[i] == separator)
            if not (usable and counts[row] < out.shape[1] and -len(powers) < scale < len(powers)):
                counts[row] = UNREAD
                break
            number = np.float64(integer)
            number = number / powers[_U(-scale)] if scale < 0 else number * powers[_U(scale)]
            if integer > _U(1 << 53) or not -_EXACT <= scale <= _EXACT:
                # The integer, the power and the operation each change the number by 2**-53 of it at most, and Python
                # rounds by as much: its float64 lies within 2**-51. Where both ends of twice that range are the same
                # float32, so is what is between them, as rounding keeps the order.
                near = out.dtype.type(number * _BELOW)
                if near != out.dtype.type(number * _ABOVE):
                    counts[row] = UNREAD
                    break
                number = np.float64(near)
            if number > largest:
                counts[row] = UNREAD
                break
            out[row, counts[row]] = -number if negative else number
            counts[row] += 1
    return counts


def parse_cells(text: bytes, cells: np.ndarray, separator: str, out: np.ndarray) -> np.ndarray:
    """Read cells of numbers, without Python's lock.

    Args:
        text: The text that the cells are in.
        cells: int64 ``[n_rows, 2]``: where each cell begins and ends. A character follows, which is no digit, point or
            ``e``.
        separator: The ASCII character between the numbers, any number of times.
        out: float32 or float64 ``[n_rows, size]``, to be filled with the values that Python reads.

    Returns:
        int64 ``[n_rows]``: how many numbers a cell has, all finite; ``UNREAD`` where there are more than ``size``,
        or something that is no number or takes more care (``nan``, 20 digits), so that the row is not filled.
    """
    characters = np.frombuffer(text, dtype=np.uint8)
    words: np.ndarray = np.ndarray(
        max(len(text) - 7, 0), dtype=np.uint64, buffer=text, strides=(1,)
    )  # eight bytes each
    largest = float(np.finfo(out.dtype).max)
    return _parse(characters, words, np.ascontiguousarray(cells), np.uint8(ord(separator)), _POWERS, largest, out)
