"""RecBole's ``_load_feat`` with the fast reader, for RecBole's own models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType

from recbole_sibrar.data.atomic import DataError, Field, read_header
from recbole_sibrar.data.cache import read_frame
from recbole_sibrar.data.columns import TextFormat

SOURCES = (FeatureSource.INTERACTION, FeatureSource.USER, FeatureSource.ITEM)
"""The files that the fast reader reads."""


def text_format(config: Any) -> TextFormat:
    """How the atomic files of a configuration are written."""
    return TextFormat(config["field_separator"], config["seq_separator"], config["encoding"])


def uses_cache(config: Any) -> bool:
    """Whether vectors may be read from and written to the cache beside a file.

    Raises:
        DataError: ``atomic_cache`` is neither True nor False.
    """
    value = config["atomic_cache"]
    if value not in (True, False, None):  # a checkpoint that was written without the plugin has no such key
        raise DataError(f"atomic_cache: found {value!r}, allowed is True or False")
    return value is not False


def selected(fields: list[Field], load: set[str] | None, unload: set[str] | None) -> list[Field]:
    """The fields of a file that RecBole's ``load_col`` and ``unload_col`` leave."""
    return [
        field
        for field in fields
        if (load is None or field.name in load) and (unload is None or field.name not in unload)
    ]


def load_feat(original: Callable[..., Any], dataset: Dataset, path: str, source: FeatureSource | str) -> Any:
    """Load a file into RecBole's frame, field by field what ``original`` makes of it.

    What RecBole reads in a way of its own (vectors of several lengths, numbers that are not finite, lines longer than
    the header), and every error, is left to ``original``.

    Args:
        original: RecBole's ``Dataset._load_feat``.
        dataset: The data set that loads.
        path: The file.
        source: What the file is.
    """
    load, unload = dataset._get_load_and_unload_col(source)
    use_cache = uses_cache(dataset.config)
    if source not in SOURCES or load == set():
        return original(dataset, path, source)
    written = text_format(dataset.config)
    try:
        fields = selected(read_header(path, written.separator, written.encoding), load, unload)
        if not fields or any(":" in field.name for field in fields):
            return original(dataset, path, source)
        frame = read_frame(path, fields, written, as_recbole=True, use_cache=use_cache)
    except (DataError, OSError):
        return original(dataset, path, source)
    if frame.empty:
        return original(dataset, path, source)
    register_fields(dataset, frame, fields, source)
    return frame


def register_fields(dataset: Dataset, frame: pd.DataFrame, fields: list[Field], source: FeatureSource | str) -> None:
    """Note type, source and length of the fields of a file as RecBole does, and apply its ``seq_len``."""
    for field in fields:
        dataset.field2source[field.name] = source
        dataset.field2type[field.name] = FeatureType(field.type)
        dataset.field2seqlen[field.name] = 1
        if field.type.startswith("float"):
            dataset.field2bucketnum[field.name] = 2
        if field.type.endswith("seq"):
            dataset.field2seqlen[field.name] = _limit_sequences(frame, field.name, dataset.config["seq_len"])


def _limit_sequences(frame: pd.DataFrame, name: str, limits: dict[str, int] | None) -> int:
    """Apply RecBole's ``seq_len`` to a field.

    Returns:
        Length of the longest sequence that is left.
    """
    longest = max((len(row) for row in frame[name]), default=0)
    limit = (limits or {}).get(name, longest)
    if limit < longest:
        rows = np.empty(len(frame), dtype=object)
        rows[:] = [row[:limit] for row in frame[name]]
        frame[name] = pd.Series(rows, index=frame.index)
    return min(limit, longest)
