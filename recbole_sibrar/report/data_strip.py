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
    r"^(user|item) field: (.+) \((categorical|multi-label|scalar|vector), size (\d+), ([\d.]+) % available\)",
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
    files = [run.folder / LOG for run in data.runs]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]
    counts = _counts(texts)
    found: dict[tuple[str, str], Coverage] = {}
    for text in texts:
        for side, name, kind, size, share in _FIELD.findall(text):
            found.setdefault(
                (side, name), Coverage(side, name, f"{kind}, {int(size):,}", float(share))
            )
    return DataStrip(counts, sorted(found.values(), key=lambda coverage: coverage.side))


def _counts(texts: Sequence[str]) -> list[tuple[str, str]]:
    counts = []
    for word, padding in _COUNTS:
        numbers = [
            found[1]
            for text in texts
            if (found := re.search(rf"The number of {word}: (\d+)", text))
        ]
        if numbers:
            counts.append((_LABELS[word], f"{int(numbers[0]) - padding:,}"))

    ranked = dict.fromkeys(
        number for text in texts for number in re.findall(r"ranked items: test (\d+)", text)[-1:]
    )
    if ranked:
        counts.append(
            ("Candidates of the test", " or ".join(f"{int(number):,}" for number in ranked))
        )
    return counts
