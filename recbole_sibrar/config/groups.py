"""The key ``eval_groups``: groups of users and items with results of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import yaml

from recbole_sibrar.errors import nearest, refuse
from recbole_sibrar.names import INTERACTIONS, SIDES, Side

POPULARITY = "popularity"
"""Division of the items without a field: head and tail by training interactions."""

DEFAULT_BINS = 4
"""Number of groups of numbers without ``bins``."""

_KEY = "eval_groups"
_ALLOWED = (
    f"fields with their side, such as {{gender: user, {POPULARITY}: item, image: available, "
    "age: {side: user, bins: [18, 35, 50]}}"
)
_INSIDE = ("side", "by", "bins")


@dataclass(frozen=True)
class GroupRequest:
    """Division of the users or the items into groups."""

    field: str
    """A field of the ``.user`` or ``.item`` file, :data:`POPULARITY`, or ``interactions`` by
    availability."""
    side: Side | None
    """The divided side; None, by availability, for the one with the field."""
    by: Literal["value", "available"] = "value"
    """``value``: each value is a group; ``available``: two groups, with a value and without."""
    bins: int | tuple[float, ...] | None = None
    """Number of groups of numbers with equally many members each, or the smallest number of each
    group but the first; None for each category, or :data:`DEFAULT_BINS` groups of numbers."""


def group_requests(value: object) -> tuple[GroupRequest, ...]:
    """Read the key.

    Args:
        value: Fields -> ``user``, ``item``, ``available``, or a dictionary with ``side``, ``by``
            and ``bins``; or the same as text.

    Raises:
        ConfigError: It has another form.

    Example:
        >>> group_requests("{gender: user, image: available}")[1]
        GroupRequest(field='image', side=None, by='available', bins=None)
    """
    # text of the command line that RecBole has not read as a dictionary
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            refuse(_KEY, value, _ALLOWED)

    if value is None:
        return ()
    if not isinstance(value, Mapping):
        refuse(_KEY, value, _ALLOWED)
    return tuple(_request(str(field), form) for field, form in value.items())


def groups_value(key: str, value: object) -> tuple[GroupRequest, ...]:
    """Read the key, as a reader of the table of keys."""
    return group_requests(value)


def _request(field: str, form: object) -> GroupRequest:
    """Read the division by one field."""
    # a word is short for a dictionary
    if isinstance(form, str):
        form = {"by": form} if form == "available" else {"side": form}
    if not isinstance(form, Mapping):
        _refuse(field, form, f"user, item, available, or a dictionary with {', '.join(_INSIDE)}")
    for key in form:
        if key not in _INSIDE:
            hint = nearest(str(key), _INSIDE)
            _refuse(field, key, f"{', '.join(_INSIDE)}{hint}")

    side = form.get("side")
    by = form.get("by", "value")
    if by not in ("value", "available"):
        hint = nearest(str(by), ("value", "available"))
        _refuse(f"{field}: by", by, f"value or available{hint}")
    # by availability, the side is the one with the field
    may_be_missing = by == "available"
    if side not in SIDES and not (side is None and may_be_missing):
        hint = nearest(str(side), (*SIDES, "available"))
        _refuse(field, side, f"user, item or available{hint}; {_ALLOWED}")

    request = GroupRequest(field, side, by, _bins(field, form.get("bins")))
    _check_special(request)
    return request


def _check_special(request: GroupRequest) -> None:
    """Check divisions without a field, and forms that exclude each other."""
    field = request.field
    if request.by == "available" and request.bins is not None:
        _refuse(f"{field}: bins", request.bins, "none with by: available, which has two groups")
    if field == POPULARITY and request.side == "user":
        _refuse(field, "user", f"{POPULARITY}: item; users have no popularity")
    if field == POPULARITY and (request.by == "available" or request.bins is not None):
        found = request.by if request.bins is None else request.bins
        _refuse(field, found, "item, which is divided into head and tail")
    if field == INTERACTIONS and (request.by != "available" or request.side is None):
        _refuse(field, request.by, f"{{{field}: {{side: item, by: available}}}}, or side: user")


def _bins(field: str, value: object) -> int | tuple[float, ...] | None:
    """Read the division of numbers."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2:
        return value

    numbers = value if isinstance(value, (list, tuple)) else []
    # finite first: NaN has no place in an order
    are_finite = bool(numbers) and all(map(_is_finite, numbers))
    if not are_finite or list(numbers) != sorted(set(numbers)):
        allowed = "a number of groups from 2, or ascending numbers such as [18, 35, 50]"
        _refuse(f"{field}: bins", value, allowed)
    return tuple(float(number) for number in numbers)


def _is_finite(value: object) -> bool:
    # bool is a subclass of int
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)


def _refuse(path: str, value: object, allowed: str) -> NoReturn:
    refuse(f"{_KEY}: {path}", value, allowed)
