"""Record of the training data of a model, for its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from recbole_sibrar.data.record.scaling import Buckets

KEY = "training_data"
"""Key of a checkpoint, and attribute of its configuration, with the record as plain values."""

FILE = "checkpoint_file"
"""Attribute of a checkpoint's configuration with the name of the file."""

PARTS = ("training", "validation", "test")
"""The parts of a split, in words."""

LINES = ""
"""Entry of a table for its number of lines, if lines can repeat."""

_EXAMPLES = 3
"""Number of new or missing ids in a message."""


@dataclass(frozen=True)
class TrainingData:
    """Ids, scales and fingerprints of the training data, without the data themselves."""

    user_field: str | None
    """Name of the field of users."""
    item_field: str | None
    """Name of the field of items."""
    tokens: Mapping[str, str | Sequence[str]]
    """Field of ids or labels -> original ids in the order of their numbers from 1, one a line (a
    list if one has a line break). Fields with the same numbers (RecBole's aliases) have one entry,
    under the first of them."""
    means: Mapping[str, float]
    """Number field -> its mean; RecBole fills missing values with it."""
    ranges: Mapping[str, tuple[float, float]]
    """Normalised field -> its smallest and largest number before."""
    buckets: Mapping[str, Buckets]
    """Discretised field -> its buckets."""
    tables: Mapping[str, Mapping[str, int]]
    """Atomic file (``inter``, ``item``, ...) -> field -> fingerprint. For interactions, the entry
    :data:`LINES` is their number, and the next entry is the fingerprint of the pairs of user and
    item."""
    parts: Sequence[tuple[int, int]] = ()
    """Number of interactions and fingerprint of each part of the split."""
    known_only: bool = False
    """True if the fingerprints cover only the users and items of an earlier record."""

    def tokens_of(self, name: str) -> Sequence[str]:
        """List the original ids or labels of a field, in the order of their numbers from 1."""
        held = self.tokens[name]
        return held.split("\n") if isinstance(held, str) else held

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The record as dictionaries, tuples, strings and numbers, for a checkpoint."""
        values = {name: getattr(self, name) for name in _PLAIN}
        # torch.load(weights_only=True) reads no class of ours: a tuple for each Buckets
        values["buckets"] = {
            name: (buckets.bounds, buckets.count) for name, buckets in self.buckets.items()
        }
        return values

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> TrainingData:
        """Make a record from its plain values.

        Args:
            values: Value of :attr:`plain`.

        Raises:
            ValueError: The values are something else.
        """
        try:
            buckets = {name: Buckets(*held) for name, held in values["buckets"].items()}
            arguments = {name: values[name] for name in _PLAIN}
            arguments["buckets"] = buckets
            return cls(**arguments)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"its record of the training data is damaged ({error})") from None


# known_only describes a comparison, not the data: no checkpoint holds it
_PLAIN = tuple(held.name for held in fields(TrainingData) if held.name != "known_only")


def joined(tokens: Sequence[str]) -> str | list[str]:
    """Join ids, one a line; return a list if the text could not be divided again."""
    # a third of the space of a list in a checkpoint
    text = "\n".join(tokens)
    has_one_a_line = text.count("\n") == len(tokens) - 1
    return text if has_one_a_line and text else list(tokens)


def differences(then: TrainingData, now: TrainingData) -> list[str]:
    """Describe the differences between present data and those of training.

    Args:
        then: The record of training.
        now: The record of the present data.

    Returns:
        A phrase for each difference.
    """
    found = id_differences(then, now)
    sides = {"user": then.user_field, "item": then.item_field}

    for file, table in then.tables.items():
        if file not in now.tables:
            continue
        # the fields of other users or items differ anyway
        if now.known_only or not _has_other_tokens(then, now, sides.get(file)):
            found += _table_differences(file, table, now.tables[file])
    return found + _part_differences(then.parts, now.parts)


def _has_other_tokens(then: TrainingData, now: TrainingData, name: str | None) -> bool:
    """Tell if a field of ids has new or missing ones; False without a field."""
    if name is None:
        return False
    return bool(new_tokens(then, now, name) or new_tokens(now, then, name))


def id_differences(then: TrainingData, now: TrainingData) -> list[str]:
    """Describe the differences of users, items and labels alone, users and items first."""
    nouns = {then.user_field: "user", then.item_field: "item"}
    found: list[str] = []
    reordered: list[str] = []

    # sorted() is stable: within users and items, and within labels, the order is that of the record
    for name in sorted(then.tokens, key=lambda name: name not in nouns):
        if name not in now.tokens or then.tokens[name] == now.tokens[name]:
            continue

        noun, where = "label", f" of '{name}'"
        if name in nouns:
            noun, where = nouns[name], ""
        added = new_tokens(then, now, name)
        if added:
            found.append(_counted(added, f"new {noun}", where))
        missing = new_tokens(now, then, name)
        if missing:
            found.append(_counted(missing, f"missing {noun}", where))
        if not added and not missing:
            reordered.append(f"{noun}s{where}")

    if reordered:
        found.append(f"another order of {', '.join(reordered)}, so that their numbers have changed")
    return found


def extends(now: TrainingData, then: TrainingData) -> bool:
    """Tell if all users, items and labels of an earlier record have the same numbers now."""
    for name in then.tokens:
        if name in now.tokens and then.tokens[name] != now.tokens[name]:
            known = list(then.tokens_of(name))
            if list(now.tokens_of(name)[: len(known)]) != known:
                return False
    return True


def new_tokens(then: TrainingData, now: TrainingData, name: str) -> list[str]:
    """List the new ids or labels of a field."""
    if then.tokens.get(name) == now.tokens.get(name):
        return []
    known = set(then.tokens_of(name))
    return [token for token in now.tokens_of(name) if token not in known]


def _counted(tokens: Sequence[str], noun: str, where: str) -> str:
    """Count ids in words, with examples."""
    examples = ", ".join(tokens[:_EXAMPLES]) + ", ..." * (len(tokens) > _EXAMPLES)
    return f"{len(tokens)} {noun}{'s' * (len(tokens) > 1)}{where} ({examples})"


def _table_differences(file: str, then: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Describe the differences of a file."""
    if then.get(LINES) != now.get(LINES):
        return [f".{file} has {now.get(LINES)} lines instead of {then.get(LINES)}"]

    changed = [name for name in then if name in now and then[name] != now[name]]
    names = list(then)
    if names[:1] == [LINES] and names[1] in changed:
        # other pairs change the fingerprints of all other fields
        changed = [names[1]]
    return [f"other values of {', '.join(changed)} in .{file}"] if changed else []


def _part_differences(then: Sequence[tuple[int, int]], now: Sequence[tuple[int, int]]) -> list[str]:
    """Describe the differences of the parts of a split."""
    # pairs are lists or tuples
    before = list(map(tuple, then))
    after = list(map(tuple, now))
    if not before or not after or before == after:
        return []

    changed = [name for name, a, b in zip(PARTS, before, after, strict=False) if a != b]
    return [
        f"the split is another one ({', '.join(changed)}), so that tested interactions may have "
        "been in training"
    ]
