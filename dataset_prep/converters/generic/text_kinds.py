"""Kinds of columns of texts, to suggest a use for them."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNIQUE_SHARE = 0.95
"""A column with a higher share of different cells holds no categories."""

# Cells of so many words on average are texts, unless hardly any differ.
_TEXT_WORDS = 5
_TEXT_SHARE = 0.3
_PROSE_WORDS = 3
_SAMPLE = 5_000
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs)://\S+|www\.\S+", re.I)
_IMAGE = re.compile(r"\S.*\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif)(?:\?\S*)?", re.I)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_IMAGE_NAME = re.compile(r"image|img|photo|picture|cover|thumb|poster", re.I)
_AMOUNT = re.compile(
    r"\s*(?:[€$£¥₹]|EUR|USD|GBP|CHF)?\s*-?\d[\d.,']*\s*(?:[€$£¥₹%]|EUR|USD|GBP|CHF|kg|g|cm|mm|ml|l)?\s*"
)
_SHORTENED = re.compile(r"\[.*\.\.\..*\]", re.S)


def text_kind(name: str, texts: pa.ChunkedArray) -> str:
    """Name the kind of a column of texts, beyond numbers, dates and lists.

    Args:
        name: Its name.
        texts: Its cells, without missing ones; one at least.

    Returns:
        ``image addresses``, ``image paths``, ``addresses``, ``email addresses``, ``amounts``,
        ``shortened lists``, ``texts`` (no value is shared by several, or long ones), or
        ``categories``.
    """
    sample = texts.slice(0, _SAMPLE).to_pylist()

    def all_match(pattern: re.Pattern[str]) -> bool:
        return all(pattern.fullmatch(text.strip()) for text in sample)

    # Addresses before paths: the address of an image ends like its path.
    if all_match(_ADDRESS):
        is_image = bool(_IMAGE_NAME.search(name)) or all_match(_IMAGE)
        return "image addresses" if is_image else "addresses"
    if all_match(_EMAIL):
        return "email addresses"
    if all_match(_IMAGE):
        return "image paths"
    if all_match(_SHORTENED):
        return "shortened lists"
    if all_match(_AMOUNT):
        return "amounts"
    return "texts" if is_text(texts) else "categories"


def is_text(texts: pa.ChunkedArray) -> bool:
    """Recognise texts: hardly any two cells are alike, or they are long and many differ."""
    n = len(texts)
    # A single cell tells nothing about repetitions.
    if n < 2:
        return False
    share = len(texts.unique()) / n
    return share > UNIQUE_SHARE or (share > _TEXT_SHARE and _mean_words(texts) >= _TEXT_WORDS)


def is_prose_with(texts: pa.ChunkedArray, separator: str) -> bool:
    """Recognise texts of several words, some with a separator inside by chance."""
    share = pc.mean(pc.match_substring(texts, separator).cast(pa.float64())).as_py()
    return share < 0.5 and is_prose(texts)


def is_prose(texts: pa.ChunkedArray) -> bool:
    """Recognise texts of several words, hardly two of them alike."""
    return len(texts) > 1 and is_text(texts) and _mean_words(texts) >= _PROSE_WORDS


def unnamed_list_separator(texts: pa.ChunkedArray) -> str:
    """Find ``,`` or ``;`` between recurring labels; empty if neither separates such labels."""
    cells = texts.slice(0, _SAMPLE).to_pylist()
    for separator in (",", ";"):
        parts: list[str] = []
        n_lists = 0
        for cell in cells:
            if separator in cell:
                n_lists += 1
                parts += cell.split(separator)

        # Labels are short and occur twice on average; parts of sentences are neither.
        labels = {part.strip() for part in parts}
        is_recurring = len(labels) * 2 <= len(parts)
        is_short = all(len(label.split()) <= 3 for label in labels)
        if n_lists >= 3 and is_recurring and is_short:
            return separator
    return ""


def _mean_words(texts: pa.ChunkedArray) -> float:
    sample = texts.slice(0, _SAMPLE).to_pylist()
    return float(np.mean([len(text.split()) for text in sample]))
