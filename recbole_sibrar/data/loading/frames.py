"""RecBole's ``_load_feat`` with the fast reader and messages that name the line.

RecBole's own models use it too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType

from recbole_sibrar.data.atomic import (
    AtomicFile,
    CellError,
    Field,
    RowError,
    TextFormat,
    names_of,
)
from recbole_sibrar.data.atomic.faults import find_wrong_number
from recbole_sibrar.data.loading.feature_files import check_new
from recbole_sibrar.data.loading.ids import warn_about_matches, warn_about_repetitions
from recbole_sibrar.data.loading.needed import check_interactions, log_fields
from recbole_sibrar.errors import DataError, refuse
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import ConfigLike

SOURCES = (FeatureSource.INTERACTION, FeatureSource.USER, FeatureSource.ITEM)
"""Kinds of files for the fast reader."""

FAILURES = (ValueError, TypeError, LookupError, OSError, csv.Error)
"""Errors of RecBole and pandas for an unreadable file."""


def atomic_file(config: ConfigLike, path: str | PathLike[str]) -> AtomicFile:
    """Describe an atomic file with the separators and the encoding of a configuration.

    Args:
        config: RecBole's ``Config``.
        path: The file.

    Raises:
        ConfigError: The encoding is unknown.
    """
    encoding = config["encoding"]
    if encoding is not None:
        try:
            # unlike codecs.lookup, it refuses codecs that are not for text, such as base64
            "\n".encode(encoding)
        except (LookupError, TypeError):
            allowed = "the name of an encoding, such as utf-8, utf-16 or latin-1"
            refuse("encoding", encoding, allowed)

    text_format = TextFormat(config["field_separator"], config["seq_separator"], encoding)
    return AtomicFile(path, text_format)


def uses_cache(config: ConfigLike) -> bool:
    """Tell if the configuration allows the cache beside a file.

    Raises:
        DataError: ``atomic_cache`` is neither True nor False.
    """
    value = config["atomic_cache"]
    # None: a checkpoint that was written without the plugin has no such key
    if value not in (True, False, None):
        raise DataError(f"atomic_cache: found {value!r}, allowed is True or False")
    return value is not False


def selected(fields: list[Field], load: set[str] | None, unload: set[str] | None) -> list[Field]:
    """Select the fields of a file by RecBole's ``load_col`` and ``unload_col``."""
    # a new list in any case: the header of a file is shared
    fields = list(fields)
    if load is not None:
        fields = [field for field in fields if field.name in load]
    if unload:
        fields = [field for field in fields if field.name not in unload]
    return fields


def load_feat(
    original: Callable[..., pd.DataFrame | None],
    dataset: Dataset,
    path: str,
    source: FeatureSource | str,
) -> pd.DataFrame | None:
    """Load a file into the frame of RecBole's own reader, field by field.

    Vectors of several lengths and numbers that are not finite are left to ``original``. A row with
    more or fewer cells than the header is an error.

    Args:
        original: RecBole's ``Dataset._load_feat``.
        dataset: The data set being loaded.
        path: The file.
        source: Kind of the file.

    Raises:
        DataError: The file cannot be read; the message names the line where there is one.
    """
    load, unload = dataset._get_load_and_unload_col(source)
    if load == set():
        return original(dataset, path, source)

    file = atomic_file(dataset.config, path)
    try:
        header = file.header
    except DataError as reason:
        # our own data set leaves nothing to RecBole
        if hasattr(dataset, "modality_tables"):
            raise
        return _load_as_recbole(original, dataset, file, source, reason, [])

    fields = selected(header, load, unload)
    if source is FeatureSource.INTERACTION:
        check_interactions(dataset, file, fields)
    # a link file has the ids of other files: items and the entities of a knowledge graph
    elif source != "link":
        check_new(dataset, path, source, fields, numbers_too=False)

    frame, found = _read_fast(dataset, file, source, fields)
    if frame is None or (frame.empty and dataset.benchmark_filename_list):
        return _load_as_recbole(original, dataset, file, source, found, fields)

    register_fields(dataset, frame, fields, source)
    check_frame(dataset, file, frame, *_owner(dataset, source))
    return frame


def _read_fast(
    dataset: Dataset,
    file: AtomicFile,
    source: FeatureSource | str,
    fields: list[Field],
) -> tuple[pd.DataFrame | None, DataError | None]:
    """Read a file with the fast reader.

    Returns:
        The frame, or None and the reason if RecBole may read the file otherwise. Both are None for
        files of other kinds.

    Raises:
        DataError: Neither reader can read the file.
    """
    use_cache = uses_cache(dataset.config)
    # RecBole divides field:type at every colon, so that a name with a colon is its error
    has_colon = ":" in "".join(names_of(file.header))
    if source not in SOURCES or not fields or has_colon:
        return None, None

    try:
        return file.read(fields, strict=True, use_cache=use_cache), None
    except RowError:
        # RecBole would drop cells, or shift all columns
        raise
    except DataError as error:
        if hasattr(dataset, "modality_tables") and not isinstance(error, CellError):
            raise
        return None, error


def _load_as_recbole(
    original: Callable[..., pd.DataFrame | None],
    dataset: Dataset,
    file: AtomicFile,
    source: FeatureSource | str,
    reason: DataError | None,
    fields: list[Field],
) -> pd.DataFrame | None:
    """Load a file as RecBole does.

    Args:
        original: RecBole's ``Dataset._load_feat``.
        dataset: The data set being loaded.
        file: The file.
        source: Kind of the file.
        reason: Error of the fast reader, if it has tried.
        fields: The loaded fields; none if the header cannot be read.

    Raises:
        DataError: RecBole cannot read it either, or has read rows that are not as long as the
            header.
    """
    try:
        frame = original(dataset, file.path, source)
    except FAILURES as error:
        # the clearest message first: the cell, else the fast reader's error, else RecBole's own
        wrong = find_wrong_number(file, fields) if fields else None
        unknown = DataError(f"{file.path}: RecBole cannot read it: {error}")
        raise (wrong or reason or unknown) from error

    if frame is not None:
        _check_as_recbole(dataset, file, source, frame, reason)
    return frame


def _check_as_recbole(
    dataset: Dataset,
    file: AtomicFile,
    source: FeatureSource | str,
    frame: pd.DataFrame,
    reason: DataError | None,
) -> None:
    """Check RecBole's frame of a file that the fast reader has refused."""
    try:
        file.check_text(line_breaks=True)
    except RowError:
        raise
    except DataError:
        # a NUL byte: a character for RecBole
        pass

    # a name that is None is in no frame, but is not needed either
    ids = {dataset.uid_field, dataset.iid_field} - {None}
    lacks_ids = source is FeatureSource.INTERACTION and not ids.issubset(frame.columns)
    if reason is not None and lacks_ids:
        raise reason
    if source != "link":
        check_frame(dataset, file, frame, *_owner(dataset, source))


def _owner(dataset: Dataset, source: FeatureSource | str) -> tuple[Side | None, str | None]:
    """Side of a file, and the field of its ids."""
    if source is FeatureSource.USER:
        return "user", dataset.uid_field
    if source is FeatureSource.ITEM:
        return "item", dataset.iid_field
    return None, None


def check_frame(
    dataset: Dataset,
    file: AtomicFile,
    frame: pd.DataFrame,
    side: Side | None,
    id_field: str | None,
) -> None:
    """Check the frame of a file, and warn about its ids.

    Args:
        dataset: The data set being loaded.
        file: The file.
        frame: Its rows.
        side: Side of the file; None for a file of neither users nor items.
        id_field: The field of the ids.

    Raises:
        DataError: There are no rows or no ids.
    """
    if frame.empty and dataset.benchmark_filename_list is None:
        raise DataError(
            f"{file.path}: found a header without rows, allowed is a line for each row below it"
        )
    if side is None or id_field is None:
        return

    if id_field not in frame:
        raise DataError(
            f"{file.path}: found the fields {', '.join(frame.columns)}, allowed are fields with "
            f"'{id_field}' ({side.upper()}_ID_FIELD) for the id of each line; see load_col and the "
            "header of the file"
        )
    kind = dataset.field2type[id_field].value
    if kind != "token":
        raise DataError(
            f"{file.path}: found the type {kind} for the ids '{id_field}', allowed is token"
        )

    warn_about_repetitions(file, id_field, frame)
    warn_about_matches(dataset, side, file.path, frame[id_field])


def load_inter_feat(
    original: Callable[..., Any],
    dataset: Dataset,
    token: str,
    dataset_path: str,
) -> None:
    """Load the interactions; a missing file is an error that lists the files of the folder.

    Args:
        original: RecBole's ``Dataset._load_inter_feat``.
        dataset: The data set being loaded.
        token: Its name.
        dataset_path: Its folder.

    Raises:
        DataError: A file is missing.
    """
    parts = dataset.benchmark_filename_list
    names = [f"{token}.inter"]
    if parts is not None:
        names = [f"{token}.{part}.inter" for part in parts]

    for name in names:
        path = os.path.join(dataset_path, name)
        if os.path.isdir(path):
            raise DataError(f"{path}: found a folder, allowed is a file with the interactions")
        if not os.path.isfile(path):
            raise DataError(
                f"{path}: there is no such file; {dataset_path} holds {_files_of(dataset_path)}"
            )

    original(dataset, token, dataset_path)
    log_fields(dataset)


def load_user_or_item_feat(
    original: Callable[..., pd.DataFrame | None],
    dataset: Dataset,
    *arguments: Any,
) -> pd.DataFrame | None:
    """Load the fields of users or items; repair RecBole's handling of lines without an id.

    Args:
        original: RecBole's ``Dataset._load_user_or_item_feat``.
        dataset: The data set being loaded.
        *arguments: Name and folder of the data set, kind of the file, and attribute with the name
            of the ids.
    """
    frame = original(dataset, *arguments)
    field = getattr(dataset, arguments[-1], None)

    if frame is not None and field in frame:
        # RecBole drops repeated ids, and later uses the labels of lines without an id as positions
        # (_filter_nan_user_or_item): an IndexError if a label is beyond the end.
        missing = frame.index[frame[field].isna()]
        if len(missing) and int(missing.max()) >= len(frame):
            frame = frame.reset_index(drop=True)
    return frame


def _files_of(folder: str) -> str:
    """List up to ten files of a folder."""
    return ", ".join(sorted(os.listdir(folder))[:10]) or "nothing"


def register_fields(
    dataset: Dataset,
    frame: pd.DataFrame,
    fields: list[Field],
    source: FeatureSource | str,
) -> None:
    """Register the fields of a file as RecBole does, and apply its ``seq_len``."""
    seq_len = dataset.config["seq_len"]
    for field in fields:
        dataset.field2source[field.name] = source
        dataset.field2type[field.name] = FeatureType(field.type)
        dataset.field2seqlen[field.name] = 1
        if field.type.startswith("float"):
            dataset.field2bucketnum[field.name] = 2
        if field.type.endswith("seq"):
            dataset.field2seqlen[field.name] = _limit_sequences(frame, field.name, seq_len)


def _limit_sequences(frame: pd.DataFrame, name: str, limits: dict[str, int] | None) -> int:
    """Apply RecBole's ``seq_len`` to a field.

    Returns:
        Length of the longest remaining sequence.
    """
    longest = max(map(len, frame[name]), default=0)
    limit = (limits or {}).get(name, longest)

    if limit < longest:
        # np.array would make a matrix of sequences of one length
        rows = np.empty(len(frame), dtype=object)
        rows[:] = [row[:limit] for row in frame[name]]
        frame[name] = pd.Series(rows, index=frame.index)
    return min(limit, longest)
