"""A record of the data that a model was trained with, for its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from recbole_sibrar.data.record.scaling import Buckets

KEY = "training_data"
"""Key of a checkpoint, and attribute of a configuration read from one, that holds the record as plain values."""

FILE = "checkpoint_file"
"""Attribute of a configuration read from a checkpoint with the name of the file."""

PARTS = ("training", "validation", "test")
"""The parts of a split, in words."""

LINES = ""
"""Entry of a table with its number of lines, where lines can repeat."""

_EXAMPLES = 3
"""New or missing ids that a message names."""


@dataclass(frozen=True)
class TrainingData:
    """What training knew of the data: ids, scales and fingerprints, without the data themselves."""

    user_field: str | None
    """Name of the field with the users."""
    item_field: str | None
    """Name of the field with the items."""
    tokens: Mapping[str, str | Sequence[str]]
    """Field of ids or labels -> the original ones in the order of their numbers from 1, one a line (a list where one
    has a line break). Fields that share their numbers (RecBole's aliases) have one entry, that of the first."""
    means: Mapping[str, float]
    """Number field -> its mean, which RecBole puts where a value is missing."""
    ranges: Mapping[str, tuple[float, float]]
    """Field that RecBole has normalised -> its smallest and its largest number before."""
    buckets: Mapping[str, Buckets]
    """Field that RecBole has discretised -> how."""
    tables: Mapping[str, Mapping[str, int]]
    """Atomic file (``inter``, ``item``, ...) -> field -> fingerprint. Of interactions, the entry :data:`LINES` is their
    number, and the next is the fingerprint of the pairs of user and item."""
    parts: Sequence[tuple[int, int]] = ()
    """For each part of the split its number of interactions and their fingerprint."""
    known_only: bool = False
    """Whether the fingerprints of users and items are of those alone that an earlier record knows."""

    def tokens_of(self, name: str) -> Sequence[str]:
        """The original ids or labels of a field that has an entry of its own, in the order of their numbers from 1."""
        held = self.tokens[name]
        return held.split("\n") if isinstance(held, str) else held

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The record as dictionaries, tuples, strings and numbers, as a checkpoint holds it."""
        values = {name: getattr(self, name) for name in _PLAIN}
        return {**values, "buckets": {name: (held.bounds, held.count) for name, held in self.buckets.items()}}

    @classmethod
    def from_plain(cls, values: Any) -> TrainingData:
        """Read what :attr:`plain` returned.

        Raises:
            ValueError: It is something else.
        """
        try:
            buckets = {name: Buckets(*held) for name, held in values["buckets"].items()}
            return cls(**{**{name: values[name] for name in _PLAIN}, "buckets": buckets})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"its record of the training data is damaged ({error})") from None


_PLAIN = tuple(held.name for held in fields(TrainingData) if held.name != "known_only")


def joined(tokens: Sequence[str]) -> str | list[str]:
    """Ids one a line, which takes a third of the place of a list; a list where that could not be divided again."""
    text = "\n".join(tokens)
    return text if text.count("\n") == len(tokens) - 1 and text else list(tokens)


def differences(then: TrainingData, now: TrainingData) -> list[str]:
    """What data do not have in common with those of training, in words.

    Args:
        then: The record of training.
        now: That of the data which are there now.

    Returns:
        A phrase for each difference; none where there is none.
    """
    found = id_differences(then, now)
    sides = {"user": then.user_field, "item": then.item_field}
    for file in (file for file in then.tables if file in now.tables):
        name = sides.get(file)
        # fields of other users or items differ anyway
        if now.known_only or name is None or not (new_tokens(then, now, name) or new_tokens(now, then, name)):
            found += _table_differences(file, then.tables[file], now.tables[file])
    return found + _part_differences(then.parts, now.parts)


def id_differences(then: TrainingData, now: TrainingData) -> list[str]:
    """The same of users, items and labels alone, users and items first."""
    nouns = {then.user_field: "user", then.item_field: "item"}
    names = sorted((name for name in then.tokens if name in now.tokens), key=lambda name: name not in nouns)
    found, reordered = [], []
    for name in (name for name in names if then.tokens[name] != now.tokens[name]):
        noun, where = (nouns[name], "") if name in nouns else ("label", f" of '{name}'")
        changed = {"new": new_tokens(then, now, name), "missing": new_tokens(now, then, name)}
        found += [_counted(tokens, f"{word} {noun}", where) for word, tokens in changed.items() if tokens]
        if not any(changed.values()):
            reordered.append(f"{noun}s{where}")
    if reordered:
        found.append(f"another order of {', '.join(reordered)}, so that their numbers mean others")
    return found


def extends(now: TrainingData, then: TrainingData) -> bool:
    """Whether all users, items and labels of an earlier record have the same numbers now."""
    for name in then.tokens:
        if name in now.tokens and then.tokens[name] != now.tokens[name]:
            known = list(then.tokens_of(name))
            if list(now.tokens_of(name)[: len(known)]) != known:
                return False
    return True


def new_tokens(then: TrainingData, now: TrainingData, name: str) -> list[str]:
    """The ids or labels of a field that training did not know."""
    if then.tokens.get(name) == now.tokens.get(name):
        return []
    known = set(then.tokens_of(name))
    return [token for token in now.tokens_of(name) if token not in known]


def _counted(tokens: Sequence[str], noun: str, where: str) -> str:
    """How many there are, with examples."""
    examples = ", ".join(tokens[:_EXAMPLES]) + ", ..." * (len(tokens) > _EXAMPLES)
    return f"{len(tokens)} {noun}{'s' * (len(tokens) > 1)}{where} ({examples})"


def _table_differences(file: str, then: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    if then.get(LINES) != now.get(LINES):
        return [f".{file} has {now.get(LINES)} lines instead of {then.get(LINES)}"]
    changed = [name for name in then if name in now and then[name] != now[name]]
    if list(then)[:1] == [LINES] and list(then)[1] in changed:
        changed = [list(then)[1]]  # the pairs, with which the fingerprints of all other fields change
    return [f"other values of {', '.join(changed)} in .{file}"] if changed else []


def _part_differences(then: Sequence[tuple[int, int]], now: Sequence[tuple[int, int]]) -> list[str]:
    if not then or not now or list(map(tuple, then)) == list(map(tuple, now)):
        return []
    changed = [name for name, before, after in zip(PARTS, then, now, strict=False) if tuple(before) != tuple(after)]
    return [f"the split is another one ({', '.join(changed)}), in which what is tested may have been trained"]
