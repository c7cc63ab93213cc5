"""Groups of users and items that an evaluation reports results of: by value, by bins of numbers, by availability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import POPULARITY, GroupRequest
from recbole_sibrar.config.groups import DEFAULT_BINS
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.features import Numbers, field_types
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.names import INTERACTIONS, Side

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
    """The groups that ``eval_groups`` asks for.

    Args:
        knowledge: What training knows, with the data set.
        requests: What divides users and items.

    Raises:
        DataError: A field does not exist, or cannot be divided in this way.
    """
    return [group for request in requests for group in _groups_of(knowledge, request)]


def _groups_of(knowledge: TrainingKnowledge, request: GroupRequest) -> Iterator[Group]:
    name = request.field
    if request.by == "available":
        yield from _by_availability(knowledge, request)
    elif name == POPULARITY:
        for label, half in (("head", 0), ("tail", 1)):
            yield Group(f"{name}={label}", "item", knowledge.tail == half)
    else:
        assert request.side is not None  # the configuration asks for it
        if request.bins is not None or field_types(knowledge.dataset, request.side).get(name) == "float":
            yield from _by_number(knowledge, request, request.side)
        else:
            field = knowledge.field(request.side, name, (*_CATEGORIES, "float"), KEY)
            for column, label in enumerate(field.labels):
                yield Group(f"{name}={label}", request.side, field.having(column))


def _by_number(knowledge: TrainingKnowledge, request: GroupRequest, side: Side) -> Iterator[Group]:
    """A group for each range of numbers; what has no number is in none."""
    numbers = knowledge.numbers(side, request.field, KEY)
    starts = request.bins if isinstance(request.bins, tuple) else quantiles(numbers, request.bins or DEFAULT_BINS)
    if not starts:
        raise DataError(f"{KEY}: found '{request.field}', whose numbers are all alike; allowed are numbers that differ")

    places = np.searchsorted(starts, numbers.values, side="right")
    for place, label in enumerate(range_labels(starts)):
        yield Group(f"{request.field}={label}", side, numbers.available & (places == place))


def quantiles(numbers: Numbers, n_groups: int) -> tuple[float, ...]:
    """Numbers at which groups begin that have equally many members each, as far as ties allow.

    They are the quantiles of all numbers of the file, so that all models of a comparison have the same groups, rounded
    to six digits.

    Args:
        numbers: The numbers.
        n_groups: Number of groups.

    Returns:
        At most ``n_groups - 1`` numbers, ascending; none where all numbers are alike.
    """
    everyone = np.sort(numbers.in_file)
    above = everyone[everyone > everyone[:1]]
    if not len(above):
        return ()
    found = np.quantile(everyone, np.arange(1, n_groups) / n_groups)
    rounded = {float(f"{number:.6g}") for number in found}
    return tuple(sorted(number for number in rounded if number > everyone[0])) or (float(above[0]),)


def range_labels(starts: Sequence[float]) -> list[str]:
    """Names of the groups that begin at some numbers, the first one before all of them.

    Example:
        >>> range_labels([18, 35.5])
        ['below 18', '18 to below 35.5', '35.5 and above']
    """
    texts = [np.format_float_positional(float(start), trim="-") for start in starts]
    between = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} and above"]


def _by_availability(knowledge: TrainingKnowledge, request: GroupRequest) -> Iterator[Group]:
    """Two groups: what has a value of the field, and what has none."""
    side = request.side or _side_of(knowledge, request.field)
    available = _available(knowledge, request.field, side)
    known = np.arange(len(available)) > 0
    for label, members in (("available", available & known), ("missing", ~available & known)):
        yield Group(f"{request.field}={label}", side, members, counts_places=side == "item")


def _available(knowledge: TrainingKnowledge, name: str, side: Side) -> NDArray[Any]:
    """bool ``[n_entities]``: what has a value of a field, or a training interaction."""
    if name == INTERACTIONS:
        return np.asarray(knowledge.history.sum(axis=1 if side == "user" else 0)).ravel() > 0
    tables = getattr(knowledge.dataset, "field_tables", {}).get(side, {})
    if name in tables and name not in field_types(knowledge.dataset, side):  # a modality from another file
        return tables[name].available.numpy()
    return knowledge.field(side, name, _ALL_TYPES, KEY).available


def _side_of(knowledge: TrainingKnowledge, name: str) -> Side:
    """The side that has a field.

    Raises:
        DataError: Neither has it, or both have.
    """
    tables = getattr(knowledge.dataset, "field_tables", {})
    sides: tuple[Side, ...] = ("item", "user")
    having = [side for side in sides if name in field_types(knowledge.dataset, side) or name in tables.get(side, {})]
    if len(having) == 1:
        return having[0]
    if having:
        raise DataError(
            f"{KEY}: found '{name}', which users and items have; write {name}: {{side: item, by: available}}"
        )
    fields = [field for side in sides for field in field_types(knowledge.dataset, side)]
    raise DataError(
        f"{KEY}: found '{name}', which neither users nor items have; allowed are {', '.join(fields) or 'none'}"
    )


def place_shares(lists: RecommendationLists, group: Group, topk: Sequence[int], decimal_place: int) -> dict[str, float]:
    """Share of a group of items in the recommended places, and its share of the candidates.

    Args:
        lists: The recommendations of all users.
        group: The group.
        topk: The cut-offs.
        decimal_place: Digits after the point.

    Returns:
        ``placeshare@k``: share of the first k places of all lists, without empty ones, that hold an item of the group;
        ``candidateshare``: share of the items that could be recommended that belong to it.
    """
    shares = {}
    for k in topk:
        items = lists.items[:, :k]
        shares[f"placeshare@{k}"] = _share(group.members[items[items > 0]])
    shares["candidateshare"] = _share(group.members[lists.candidates])
    return {name: round(share, decimal_place) for name, share in shares.items()}


def _share(flags: NDArray[Any]) -> float:
    return float(flags.mean()) if len(flags) else np.nan
