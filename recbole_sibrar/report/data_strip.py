"""Size of the data and coverage of each modality, as the logs of the runs tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from recbole_sibrar.quick_start.group.folder import ComparisonFolder
from recbole_sibrar.quick_start.group.runs import LOG

__all__ = ["Coverage", "DataStrip", "read_data"]

_COUNTS = (("users", 1), ("items", 1), ("inters", 0))
"""Words of RecBole's log, and entities of padding in its numbers."""

_LABELS = {"users": "Users", "items": "Items", "inters": "Interactions"}

_FIELD = re.compile(
    r"^(user|item) field: (.+) "
    r"\((categorical|multi-label|scalar|vector), size (\d+), ([\d.]+) % available\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Coverage:
    """Share of users or items with a value of a modality."""

    side: str
    """``user`` or ``item``."""
    name: str
    """The modality."""
    about: str
    """Kind and size of its values."""
    share: float
    """In percent."""


@dataclass(frozen=True)
class DataStrip:
    """Facts about the data of a comparison."""

    counts: Sequence[tuple[str, str]] = field(default_factory=list)
    """Names and numbers."""
    coverage: Sequence[Coverage] = field(default_factory=list)
    """Modalities of the items, then those of the users."""


def read_data(data: ComparisonFolder) -> DataStrip:
    """Read the facts in the logs of the runs; those of a folder without logs are left out.

    Args:
        data: The comparison.
    """
    texts = []
    for run in data.runs:
        file = run.folder / LOG
        if file.is_file():
            texts.append(file.read_text(encoding="utf-8", errors="replace"))

    # The first log with a modality counts.
    found: dict[tuple[str, str], Coverage] = {}
    for text in texts:
        for side, name, kind, size, share in _FIELD.findall(text):
            coverage = Coverage(side, name, f"{kind}, {int(size):,}", float(share))
            found.setdefault((side, name), coverage)

    # By the alphabet the items come before the users.
    coverages = sorted(found.values(), key=lambda coverage: coverage.side)
    return DataStrip(_counts(texts), coverages)


def _counts(texts: Sequence[str]) -> list[tuple[str, str]]:
    counts = []
    for word, padding in _COUNTS:
        number = _first_number(rf"The number of {word}: (\d+)", texts)
        if number is not None:
            counts.append((_LABELS[word], f"{number - padding:,}"))

    # Models may rank different items; the last line of a log is that of the test.
    ranked: dict[int, None] = {}
    for text in texts:
        numbers = re.findall(r"ranked items: test (\d+)", text)
        if numbers:
            ranked[int(numbers[-1])] = None
    if ranked:
        counts.append(("Candidates of the test", " or ".join(f"{n:,}" for n in ranked)))
    return counts


def _first_number(pattern: str, texts: Sequence[str]) -> int | None:
    """Find a number in the first text that has it."""
    for text in texts:
        found = re.search(pattern, text)
        if found:
            return int(found[1])
    return None
