"""The key ``eval_groups``: by what users and items are divided into groups with results of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import yaml

from recbole_sibrar.config.values import nearest, refuse
from recbole_sibrar.names import INTERACTIONS, SIDES, Side

POPULARITY = "popularity"
"""The group of items that is no field: head and tail by training interactions."""

DEFAULT_BINS = 4
"""Number of groups that numbers are divided into where nothing else is asked for."""

_KEY = "eval_groups"
_ALLOWED = (
    f"fields with their side, such as {{gender: user, {POPULARITY}: item, image: available, "
    "age: {side: user, bins: [18, 35, 50]}}"
)
_INSIDE = ("side", "by", "bins")


@dataclass(frozen=True)
class GroupRequest:
    """A division of the users or the items into groups."""

    field: str
    """A field of the ``.user`` or ``.item`` file, :data:`POPULARITY`, or ``interactions`` by availability."""
    side: Side | None
    """The side that is divided; None, by availability, for the one that has the field."""
    by: Literal["value", "available"] = "value"
    """``value``: each value is a group; ``available``: having a value and having none are the two groups."""
    bins: int | tuple[float, ...] | None = None
    """Number of groups of numbers with equally many members each, or the numbers at which groups begin; None for each
    category, or :data:`DEFAULT_BINS` groups of numbers."""


def group_requests(value: Any) -> tuple[GroupRequest, ...]:
    """Read the key.

    Args:
        value: Fields -> ``user``, ``item``, ``available``, or a dictionary with ``side``, ``by`` and ``bins``; or the
            same as text.

    Raises:
        ConfigError: It has another form.

    Example:
        >>> group_requests("{gender: user, image: available}")[1]
        GroupRequest(field='image', side=None, by='available', bins=None)
    """
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


def _request(field: str, form: Any) -> GroupRequest:
    """Read what one field is divided by."""
    if isinstance(form, str):
        form = {"by": form} if form == "available" else {"side": form}
    if not isinstance(form, Mapping):
        _refuse(field, form, f"user, item, available, or a dictionary with {', '.join(_INSIDE)}")
    for key in form:
        if key not in _INSIDE:
            _refuse(field, key, f"{', '.join(_INSIDE)}{nearest(str(key), _INSIDE)}")

    side, by = form.get("side"), form.get("by", "value")
    if by not in ("value", "available"):
        _refuse(f"{field}: by", by, f"value or available{nearest(str(by), ('value', 'available'))}")
    if side not in (*SIDES, *([None] if by == "available" else [])):
        _refuse(field, side, f"user, item or available{nearest(str(side), (*SIDES, 'available'))}; {_ALLOWED}")
    request = GroupRequest(field, side, by, _bins(field, form.get("bins")))
    _check_special(request)
    return request


def _check_special(request: GroupRequest) -> None:
    """Check what is no field, and forms that exclude each other."""
    field = request.field
    if request.by == "available" and request.bins is not None:
        _refuse(f"{field}: bins", request.bins, "none with by: available, which has two groups")
    if field == POPULARITY and request.side == "user":
        _refuse(field, "user", f"{POPULARITY}: item; users have no popularity")
    if field == POPULARITY and (request.by == "available" or request.bins is not None):
        _refuse(
            field, request.by if request.bins is None else request.bins, "item, which is divided into head and tail"
        )
    if field == INTERACTIONS and (request.by != "available" or request.side is None):
        _refuse(field, request.by, f"{{{field}: {{side: item, by: available}}}}, or side: user")


def _bins(field: str, value: Any) -> int | tuple[float, ...] | None:
    """Read how numbers are divided."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2:
        return value
    numbers = value if isinstance(value, (list, tuple)) else []
    if not numbers or not all(map(_is_finite, numbers)) or list(numbers) != sorted(set(numbers)):
        _refuse(f"{field}: bins", value, "a number of groups from 2, or ascending numbers such as [18, 35, 50]")
    return tuple(float(number) for number in numbers)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(path: str, value: Any, allowed: str) -> NoReturn:
    refuse(f"{_KEY}: {path}", value, allowed)
