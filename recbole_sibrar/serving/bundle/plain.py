"""Frozen dataclasses from plain JSON values, with every type checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from recbole_sibrar.errors import one_line

__all__ = ["NotPlainError", "from_plain"]

ValueT = TypeVar("ValueT")


class NotPlainError(ValueError):
    """A plain value has another form than its type asks for; the message names its place."""


def from_plain(kind: type[ValueT], values: object, place: str = "") -> ValueT:
    """Make a dataclass from a JSON object.

    Args:
        kind: The dataclass; its fields are strings, numbers, tuples, dictionaries and further
            dataclasses.
        values: The object. Unknown keys are left out: a later version of the same format may add
            some.
        place: Place of the object in the file, for messages.

    Raises:
        NotPlainError: A field is missing or has another type.

    Example:
        >>> from recbole_sibrar.serving.bundle.manifest import FieldSpec
        >>> price = {"name": "price", "type": "float", "size": 1, "range": [0, 5]}
        >>> from_plain(FieldSpec, price).range
        (0.0, 5.0)
    """
    if not isinstance(values, Mapping):
        raise NotPlainError(_found(place, values, "an object"))

    # Annotations are texts in modules with `from __future__ import annotations`.
    types = get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for held in fields(kind):  # type: ignore[arg-type]  # always a dataclass
        inner = f"{place}.{held.name}".lstrip(".")
        if held.name in values:
            arguments[held.name] = _read(types[held.name], values[held.name], inner)
        elif held.default is MISSING and held.default_factory is MISSING:
            raise NotPlainError(f"{inner} is missing")
    return kind(**arguments)


def _read(kind: Any, value: object, place: str) -> object:
    """Check and convert one value."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return from_plain(kind, value, place)  # type: ignore[arg-type]
    if origin in (Union, UnionType):
        if value is None:
            return None
        # The only unions in these dataclasses are of one type and None.
        option = next(option for option in get_args(kind) if option is not NoneType)
        return _read(option, value, place)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, place)
    if origin is dict:
        return _read_dict(get_args(kind)[1], value, place)
    return _read_scalar(kind, value, place)


def _read_tuple(kinds: tuple[Any, ...], value: object, place: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise NotPlainError(_found(place, value, "a list"))
    if kinds[-1] is not ... and len(kinds) != len(value):
        raise NotPlainError(_found(place, value, f"a list of {len(kinds)}"))
    return tuple(_read(kinds[0], element, f"{place}[{n}]") for n, element in enumerate(value))


def _read_dict(kind: Any, value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise NotPlainError(_found(place, value, "an object"))
    return {name: _read(kind, element, f"{place}.{name}") for name, element in value.items()}


def _is_integer(value: object) -> bool:
    # in Python, True is an integer
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return -(1 << 63) <= value < 1 << 63


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # Python's JSON reads NaN and Infinity, which are no JSON.
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the numbers of float
        return False


_SCALARS: dict[Any, tuple[Callable[[object], bool], str]] = {
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (_is_integer, "an integer of 64 bits"),
    float: (_is_number, "a finite number"),
}


def _read_scalar(kind: Any, value: object, place: str) -> object:
    if kind is object:
        return value
    is_right, allowed = _SCALARS[kind]
    if not is_right(value):
        raise NotPlainError(_found(place, value, allowed))
    converted: object = kind(value)
    return converted


def _found(place: str, value: object, allowed: str) -> str:
    # A file made by someone else may hold anything there, of any length.
    shown = repr(value)[:60]
    return one_line(ValueError(f"{place or 'the file'}: found {shown}, allowed is {allowed}"))
