"""Loading the files of users and items into frames.

They are those of a :class:`~recbole_sibrar.data.dataset.MultimodalDataset`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from recbole.utils import FeatureSource

from recbole_sibrar.data.atomic import AtomicFile, names_of
from recbole_sibrar.data.loading.feature_files import (
    FeatureFile,
    check_columns,
    check_new,
    find_owner,
)
from recbole_sibrar.data.loading.frames import (
    atomic_file,
    check_frame,
    register_fields,
    selected,
    uses_cache,
)
from recbole_sibrar.data.loading.ids import without_missing_ids
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side

if TYPE_CHECKING:
    from recbole_sibrar.data.dataset import MultimodalDataset


def load_feature_frame(
    dataset: MultimodalDataset, path: str, source: FeatureSource | str
) -> pd.DataFrame | None:
    """Load a ``.user``, ``.item`` or additional file.

    Args:
        dataset: The data set being loaded.
        path: The file.
        source: Kind of the file; the suffix of an additional file.

    Returns:
        Its frame; None if nothing of the file is loaded.

    Raises:
        DataError: The file cannot be read; the message names the line where there is one.
    """
    load, unload = dataset._get_load_and_unload_col(source)
    is_additional = not isinstance(source, FeatureSource)
    if load == set():
        if is_additional:
            dataset.logger.warning(f"load_col has no '{source}', so {path} is not read")
        return None

    atomic = atomic_file(dataset.config, path)
    file = _describe(dataset, atomic, path, source)
    if file is None:
        return None

    check_columns(dataset, file, set(names_of(atomic.header)), load, unload)
    fields = selected(atomic.header, load, unload)
    frame = atomic.read(fields, dtype=np.float32, use_cache=uses_cache(dataset.config))
    if file.id_field != file.header_field:
        frame = frame.rename(columns={file.header_field: file.id_field})
        position = names_of(fields).index(file.header_field)
        fields[position] = replace(fields[position], name=file.id_field)

    check_new(dataset, path, source, fields)
    register_fields(dataset, frame, fields, source)
    check_frame(dataset, atomic, frame, file.side, file.id_field)

    frame = without_missing_ids(atomic, file.id_field, frame)
    # RecBole drops repeated ids of .user and .item itself
    if is_additional:
        dataset.feature_files[file.suffix] = file
        frame = frame.drop_duplicates(file.id_field, ignore_index=True)
    return frame


def _describe(
    dataset: MultimodalDataset,
    atomic: AtomicFile,
    path: str,
    source: FeatureSource | str,
) -> FeatureFile | None:
    """Find the side of a file and the field of its ids; None, and a warning, without ids."""
    if isinstance(source, FeatureSource):
        side: Side = "user" if source is FeatureSource.USER else "item"
        name = dataset.id_field(side)
        return FeatureFile(side, path, side, name, name)

    file = find_owner(dataset, path, source, atomic.header)
    if file is None:
        names = ", ".join(names_of(atomic.header))
        dataset.logger.warning(
            f"{path}: found the fields {names}, none of which has ids of users or items "
            "(alias_of_user_id, alias_of_item_id); the file is not used"
        )
    return file


def check_feature_file(dataset: MultimodalDataset, side: Side) -> None:
    """Check that the ``.user`` or ``.item`` file exists if ``load_col`` asks for its fields.

    Args:
        dataset: The data set being loaded.
        side: ``user`` or ``item``.

    Raises:
        DataError: It does not, or it is a folder.
    """
    load_col = dataset.config["load_col"]
    wanted = load_col.get(side) if load_col else None
    path = dataset.feature_file(side)

    if os.path.isdir(path):
        raise DataError(f"{path}: found a folder, allowed is a file with the fields of the {side}s")
    if wanted and wanted != "*" and not os.path.isfile(path):
        raise DataError(
            f"load_col asks for {side} fields {list(wanted)}, but the file {path} does not exist; "
            f"add the file or leave '{side}' out of load_col"
        )


def describe_source(dataset: MultimodalDataset, side: Side) -> str:
    """Say in a message where the fields of one side come from, or why there are none.

    Args:
        dataset: The data set.
        side: ``user`` or ``item``.
    """
    path = dataset.feature_file(side)
    load_col = dataset.config["load_col"]
    is_loaded = load_col is None or side in load_col

    others = []
    for file in dataset.feature_files.values():
        if file.side == side:
            others.append(os.path.normpath(file.path))
    if others:
        has_own = is_loaded and os.path.isfile(path)
        return f"fields of {' and '.join([path, *others] if has_own else others)}"

    if not os.path.isfile(path):
        return f"the file {path} does not exist"
    if not is_loaded:
        return f"load_col has no '{side}', so {path} is not read"
    return f"fields of {path}"
