"""Groups of users and items with results of their own.

They are formed by value, by ranges of numbers, or by availability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import POPULARITY, GroupRequest
from recbole_sibrar.config.groups import DEFAULT_BINS
from recbole_sibrar.data.features import Numbers, field_types
from recbole_sibrar.errors import DataError
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.names import INTERACTIONS, Side

__all__ = ["KEY", "Group", "find_groups", "place_shares", "quantiles", "range_labels"]

KEY = "eval_groups"
"""The configuration key, for messages."""

_CATEGORIES = ("token", "token_seq")
_ALL_TYPES = ("token", "token_seq", "float", "float_seq")


@dataclass(frozen=True)
class Group:
    """A group of users or items."""

    label: str
    """``field=value``."""
    side: Side
    """Side of its members."""
    members: NDArray[Any]
    """bool ``[n_users]`` or ``[n_items]``."""
    counts_places: bool = False
    """True to report its share of the recommended places too."""


def find_groups(knowledge: TrainingKnowledge, requests: Sequence[GroupRequest]) -> list[Group]:
    """Find the groups of ``eval_groups``.

    Args:
        knowledge: Training data, with the data set.
        requests: Criteria of the groups.

    Raises:
        DataError: A field does not exist, or cannot be divided in this way.
    """
    groups: list[Group] = []
    for request in requests:
        groups += _groups_of(knowledge, request)
    return groups


def _groups_of(knowledge: TrainingKnowledge, request: GroupRequest) -> Iterator[Group]:
    name = request.field
    if request.by == "available":
        yield from _by_availability(knowledge, request)
        return
    if name == POPULARITY:
        # Items of unknown popularity, NaN, are in neither group.
        for label, half in (("head", 0), ("tail", 1)):
            yield Group(f"{name}={label}", "item", knowledge.tail == half)
        return

    side = request.side
    assert side is not None  # the configuration asks for it
    field_type = field_types(knowledge.dataset, side).get(name)
    # Bins asked for a field of another type are refused where its numbers are read.
    if request.bins is not None or field_type == "float":
        yield from _by_number(knowledge, request, side)
        return

    field = knowledge.field(side, name, (*_CATEGORIES, "float"), KEY)
    for column, label in enumerate(field.labels):
        yield Group(f"{name}={label}", side, field.having(column))


def _by_number(knowledge: TrainingKnowledge, request: GroupRequest, side: Side) -> Iterator[Group]:
    """Make a group for each range of numbers; entities without a number are in none."""
    numbers = knowledge.numbers(side, request.field, KEY)
    bins = request.bins
    starts = bins if isinstance(bins, tuple) else quantiles(numbers, bins or DEFAULT_BINS)
    if not starts:
        raise DataError(
            f"{KEY}: found '{request.field}', whose numbers are all alike; allowed are numbers "
            "that differ"
        )

    # A number equal to a start belongs to the group that begins there.
    places = np.searchsorted(starts, numbers.values, side="right")
    for place, label in enumerate(range_labels(starts)):
        members = numbers.available & (places == place)
        yield Group(f"{request.field}={label}", side, members)


def quantiles(numbers: Numbers, n_groups: int) -> tuple[float, ...]:
    """Divide numbers into groups of equal size, as far as ties allow.

    The groups begin at quantiles of all numbers of the file, rounded to six digits. All models of a
    comparison therefore have the same groups.

    Args:
        numbers: The numbers.
        n_groups: Number of groups.

    Returns:
        First numbers of the groups, at most ``n_groups - 1``, ascending; none if all numbers are
        alike.

    Example:
        >>> ages = np.array([18.0, 25.0, 25.0, 40.0])
        >>> quantiles(Numbers(ages, np.ones(4, dtype=bool), ages), 2)
        (25.0,)
    """
    everyone = np.sort(numbers.in_file)
    # Compared with a slice, not a number: a file may have none at all.
    above = everyone[everyone > everyone[:1]]
    if not len(above):
        return ()

    # Ties and rounding let quantiles coincide.
    found = np.quantile(everyone, np.arange(1, n_groups) / n_groups)
    rounded = sorted({float(f"{number:.6g}") for number in found})

    # A group that begins at the lowest number would leave the group below it empty.
    starts = tuple(number for number in rounded if number > everyone[0])
    return starts or (float(above[0]),)


def range_labels(starts: Sequence[float]) -> list[str]:
    """Name the groups between some numbers, below the first one and above the last one.

    Example:
        >>> range_labels([18, 35.5])
        ['below 18', '18 to below 35.5', '35.5 and above']
    """
    texts = [np.format_float_positional(float(start), trim="-") for start in starts]
    between = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} and above"]


def _by_availability(knowledge: TrainingKnowledge, request: GroupRequest) -> Iterator[Group]:
    """Make two groups: entities with a value of the field, and those without."""
    side = request.side or _side_of(knowledge, request.field)
    available = _available(knowledge, request.field, side)
    # Entity 0 is RecBole's padding.
    known = np.arange(len(available)) > 0

    halves = (("available", available & known), ("missing", ~available & known))
    for label, members in halves:
        yield Group(f"{request.field}={label}", side, members, counts_places=side == "item")


def _available(knowledge: TrainingKnowledge, name: str, side: Side) -> NDArray[Any]:
    """bool ``[n_entities]``: entities with a value of the field, or with a training interaction."""
    if name == INTERACTIONS:
        axis = 1 if side == "user" else 0
        n_interactions = np.asarray(knowledge.history.sum(axis=axis)).ravel()
        return n_interactions > 0

    tables = getattr(knowledge.dataset, "field_tables", {}).get(side, {})
    # A modality can come from another file.
    if name in tables and name not in field_types(knowledge.dataset, side):
        available: NDArray[np.bool_] = tables[name].available.numpy()
        return available

    return knowledge.field(side, name, _ALL_TYPES, KEY).available


def _side_of(knowledge: TrainingKnowledge, name: str) -> Side:
    """Find the side of a field.

    Raises:
        DataError: Neither has it, or both have.
    """
    tables = getattr(knowledge.dataset, "field_tables", {})
    sides: tuple[Side, ...] = ("item", "user")
    fields: list[str] = []
    having: list[Side] = []
    for side in sides:
        names = field_types(knowledge.dataset, side)
        fields += names
        if name in names or name in tables.get(side, {}):
            having.append(side)

    if len(having) == 1:
        return having[0]
    if having:
        raise DataError(
            f"{KEY}: found '{name}', which users and items have; write {name}: "
            "{side: item, by: available}"
        )
    raise DataError(
        f"{KEY}: found '{name}', which neither users nor items have; allowed are "
        f"{', '.join(fields) or 'none'}"
    )


def place_shares(
    lists: RecommendationLists, group: Group, topk: Sequence[int], decimal_place: int
) -> dict[str, float]:
    """Compute the share of a group of items in the recommended places and in the candidates.

    Args:
        lists: The recommendations of all users.
        group: The group.
        topk: The cut-offs.
        decimal_place: Digits after the point.

    Returns:
        ``placeshare@k``: share of the group in the first k places of all lists, without empty
        places. ``candidateshare``: share of the group in the candidates.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import example_lists
        >>> tail = Group("popularity=tail", "item", np.arange(6) > 2)
        >>> place_shares(example_lists(), tail, [1, 2], 4)
        {'placeshare@1': 0.3333, 'placeshare@2': 0.6667, 'candidateshare': 0.6}
    """
    shares: dict[str, float] = {}
    for k in topk:
        items = lists.items[:, :k]
        recommended = items[items > 0]
        share = _share(group.members[recommended])
        shares[f"placeshare@{k}"] = round(share, decimal_place)

    # What the group would get if places were given by lot.
    share = _share(group.members[lists.candidates])
    shares["candidateshare"] = round(share, decimal_place)
    return shares


def _share(flags: NDArray[Any]) -> float:
    # NumPy's mean of nothing is NaN too, with a warning.
    return float(flags.mean()) if len(flags) else np.nan
