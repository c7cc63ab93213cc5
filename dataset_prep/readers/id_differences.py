"""Differences between two spellings of the same ids, such as ``3.0`` and ``3``, with advice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Marks of byte order, joiners and soft hyphens, which no screen shows.
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
_POINT = re.compile(r"(-?\d+)\.0*")
_EXPONENT = re.compile(r"-?\d(?:[.,]\d+)?[eE]\+?\d+")


@dataclass(frozen=True)
class Difference:
    """Difference between two spellings of one id."""

    normalise: Callable[[str], str]
    """Makes one text of both spellings."""
    advice: str
    """Explanation and advice."""


@dataclass(frozen=True)
class Recognised:
    """Common difference between ids of two sources."""

    ours: str
    """An id of the interactions, as an example."""
    theirs: str
    """The same id in the other file."""
    count: int
    """Number of ids of the interactions with a counterpart, once the difference is removed."""
    advice: str
    """Advice."""


def _spaces(text: str) -> str:
    return " ".join(text.translate(_INVISIBLE).split())


def _quotes(text: str) -> str:
    return _spaces(text).strip(_QUOTES).strip()


def _point(text: str) -> str:
    found = _POINT.fullmatch(text)
    return found[1] if found else text


def _zeros(text: str) -> str:
    return text.lstrip("0") or "0"


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _all(text: str) -> str:
    return _zeros(_point(_quotes(_composed(text)).casefold()))


DIFFERENCES = (
    Difference(
        _spaces, "they differ in spaces or invisible characters; remove these from both files"
    ),
    Difference(
        _quotes,
        "one of the files has quotation marks around its ids; name its quotation mark (--quote "
        "in prepare generic), or remove the marks",
    ),
    Difference(
        _point,
        "whole numbers have a decimal point in one of the files, as pandas writes columns with "
        "empty cells; write them without, in pandas with .astype('Int64')",
    ),
    Difference(
        _zeros,
        "one of the files has lost leading zeros; export it again with its ids as text, in "
        "pandas with dtype=str",
    ),
    Difference(str.casefold, "they differ in small and capital letters; write them alike"),
    Difference(
        _composed,
        "they differ in the form of Unicode characters; write both files in one form, such as NFC",
    ),
    Difference(
        _all,
        "they differ in spaces, quotation marks, decimal points, zeros or capital letters; write "
        "them alike",
    ),
)
"""Known differences. Of several with most explained ids, the first is reported."""

SPREADSHEET = (
    "a spreadsheet has written ids with an exponent and has lost digits; export them again as text"
)
"""Advice on ids such as ``1.23E+12``."""


def recognise(ours: Sequence[str], theirs: Sequence[str]) -> Recognised | None:
    """Find the difference between ids of the interactions and of another file.

    Args:
        ours: Ids of the interactions without a match in the other file.
        theirs: Ids of the other file without a match in the interactions.

    Returns:
        The difference with the most explained ids of ``ours``; None if there is none.
    """
    # Only a larger count wins: the special differences stand before those that contain them.
    best: Recognised | None = None
    for difference in (*DIFFERENCES, *_prefixes(ours, theirs)):
        found = _counterparts(ours, theirs, difference)
        if found and (best is None or found.count > best.count):
            best = found
    return best or _exponents(ours, theirs)


def _counterparts(
    ours: Sequence[str], theirs: Sequence[str], difference: Difference
) -> Recognised | None:
    spellings = {difference.normalise(text): text for text in theirs}
    matched = []
    for text in ours:
        other = spellings.get(difference.normalise(text))
        if other is not None:
            matched.append((text, other))

    if not matched:
        return None

    first, counterpart = matched[0]
    return Recognised(first, counterpart, len(matched), difference.advice)


def _prefixes(ours: Sequence[str], theirs: Sequence[str]) -> list[Difference]:
    """Find texts in front of every id of one of the sources, such as ``item_``."""
    our_prefix = _prefix(ours)
    their_prefix = _prefix(theirs)

    # A prefix common to both explains no difference.
    if our_prefix == their_prefix:
        return []
    return [_prefix_difference(prefix) for prefix in (our_prefix, their_prefix) if prefix]


def _prefix_difference(prefix: str) -> Difference:
    return Difference(
        lambda text: text.removeprefix(prefix),
        f"one of the files has '{prefix}' in front of every id; remove it there, or write it "
        "in the other as well",
    )


def _prefix(texts: Sequence[str]) -> str:
    """Find the common beginning of all texts, up to the first digit."""
    if len(texts) < 2:
        return ""

    # The common beginning of the first and the last text in alphabetical order is that of all.
    n_shared = 0
    for a, b in zip(min(texts), max(texts), strict=False):
        if a != b:
            break
        n_shared += 1

    # Ids counted from 1000 on all begin with the same digits, which are no prefix.
    return min(texts)[:n_shared].rstrip("0123456789")


def _exponents(ours: Sequence[str], theirs: Sequence[str]) -> Recognised | None:
    # The lost digits cannot be found again: any id of the other file is shown beside it.
    for text in ours:
        if _EXPONENT.fullmatch(text) and theirs:
            return Recognised(text, theirs[0], 0, SPREADSHEET)
    for text in theirs:
        if _EXPONENT.fullmatch(text) and ours:
            return Recognised(ours[0], text, 0, SPREADSHEET)
    return None
