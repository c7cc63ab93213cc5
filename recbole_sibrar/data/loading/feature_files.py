"""The files of users and items: ``.user``, ``.item`` and ``additional_feat_suffix``.

RecBole's manual describes an additional file for precomputed vectors. ``alias_of_user_id`` or
``alias_of_item_id`` names its column of ids. RecBole gives the values to models with
``preload_weight``; for our models they are modalities like the fields of ``.user`` and ``.item``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from recbole.utils import FeatureSource

from recbole_sibrar.data.atomic import Field
from recbole_sibrar.errors import DataError, nearest, refuse
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import DatasetLike

if TYPE_CHECKING:
    from recbole_sibrar.data.dataset import MultimodalDataset


@dataclass(frozen=True)
class FeatureFile:
    """A file of users or items."""

    suffix: str
    """Suffix of the file."""
    path: str
    """Path of the file."""
    side: Side
    """Side of the file."""
    header_field: str
    """Name of the ids in the file."""
    id_field: str
    """Name of the ids in the data set. It differs if two files call their ids alike: RecBole cannot
    tell them apart."""


def find_owner(
    dataset: DatasetLike, path: str, suffix: str, header: list[Field]
) -> FeatureFile | None:
    """Find the side of an additional file and the field of its ids.

    Args:
        dataset: The data set being loaded.
        path: The file.
        suffix: Its suffix.
        header: All its fields.

    Returns:
        The file; None if no field holds ids of users or items.

    Raises:
        DataError: Several fields hold ids, or the field is no ``token``.
    """
    found: list[tuple[Field, Side]] = []
    for field in header:
        for side in SIDES:
            if field.name in id_names(dataset, side):
                found.append((field, side))
    if not found:
        return None

    tokens = [(field, side) for field, side in found if field.type == "token"]
    if len(tokens) != 1:
        names = ", ".join(field.header for field, _ in tokens or found)
        raise DataError(
            f"{path}: found the ids {names}, allowed is one token field that alias_of_user_id or "
            "alias_of_item_id names, with the id of each line"
        )

    field, side = tokens[0]
    name = field.name
    if name in dataset.field2source:
        name = f"{name}_of_{suffix}"
    return FeatureFile(suffix, path, side, header_field=field.name, id_field=name)


def id_field(dataset: DatasetLike, side: Side) -> str:
    """Name of the field with the ids of one side."""
    return dataset.uid_field if side == "user" else dataset.iid_field


def id_names(dataset: DatasetLike, side: Side) -> list[str]:
    """List the fields with ids of one side."""
    aliases = dataset.config[f"alias_of_{side}_id"] or []
    if isinstance(aliases, str):
        # init_alias refuses it later, with the name of the key
        aliases = [aliases]
    return [id_field(dataset, side), *aliases]


def check_columns(
    dataset: DatasetLike,
    file: FeatureFile,
    present: set[str],
    load: set[str] | None,
    unload: set[str] | None,
) -> None:
    """Check that the configured columns exist, and that the ids are among them.

    Args:
        dataset: The data set being loaded.
        file: The file.
        present: All its fields.
        load: Fields of ``load_col``; None for all.
        unload: Fields of ``unload_col``; None for none.

    Raises:
        DataError: A column does not exist, or the ids are not loaded.
    """
    for key in ("load_col", "unload_col"):
        listed = (dataset.config[key] or {}).get(file.suffix)
        # RecBole makes a set of it: of a text, the set of its letters
        if isinstance(listed, str) and listed != "*":
            raise DataError(
                f"{key}: found '{listed}' for {file.suffix}, allowed is a list of fields, such as "
                f"[{listed}]"
            )

    names = ", ".join(sorted(present))
    missing = sorted(((load or set()) | (unload or set())) - present)
    if missing:
        hint = nearest(missing[0], present)
        raise DataError(
            f"load_col/unload_col: {file.path} has no field '{missing[0]}'; its fields are "
            f"{names}{hint}"
        )

    name = file.header_field
    if name not in present:
        raise DataError(
            f"{file.path} has no field '{name}' ({file.side.upper()}_ID_FIELD) for the id of each "
            f"line; its fields are {names}{nearest(name, present)}"
        )
    if name in (unload or ()) or (load is not None and name not in load):
        key, found = "unload_col", unload
        if load is not None:
            key, found = "load_col", load
        raise DataError(
            f"{key}: found {sorted(found or ())} for {file.suffix}, but '{name}' has to be loaded, "
            f"because it holds the id of each line of {file.path}"
        )


def check_new(
    dataset: DatasetLike,
    path: str,
    source: FeatureSource | str,
    fields: list[Field],
    numbers_too: bool = True,
) -> None:
    """Check that the fields of a file have other names than those of earlier files.

    RecBole cannot tell fields of one name apart.

    Args:
        dataset: The data set with its earlier files.
        path: The file.
        source: Kind of the file.
        fields: The loaded fields.
        numbers_too: Whether names of earlier number fields count; RecBole accepts these.

    Raises:
        DataError: A name is taken.
    """
    own = {FeatureSource.USER: dataset.uid_field, FeatureSource.ITEM: dataset.iid_field}
    # ids are meant to be in several files: they connect them
    ids = (own.get(source), getattr(dataset, "entity_field", None))

    for field in fields:
        name = field.name
        other = dataset.field2source.get(name)
        if other is None or other == source or name in ids:
            continue
        if not numbers_too and dataset.field2type[name].value.startswith("float"):
            continue

        suffix = _suffix_of(dataset, name).removesuffix("_id")
        raise DataError(
            f"{path}: field '{name}' is also in the .{suffix} file; rename one of them, or list it "
            "in unload_col"
        )


def _suffix_of(dataset: DatasetLike, name: str) -> str:
    """Suffix of the file with a field."""
    source: FeatureSource | str = dataset.field2source[name]
    return source if isinstance(source, str) else str(source.value)


def init_alias(original: Callable[..., None], dataset: DatasetLike) -> None:
    """Make fields aliases of the ids of users, items or entities, after a check that they exist.

    Args:
        original: RecBole's ``Dataset._init_alias``.
        dataset: The data set with its loaded files.

    Raises:
        DataError: No loaded file has such a field.
        ConfigError: The fields are not given as a list.
    """
    for name in ("user_id", "item_id", "entity_id", "relation_id"):
        key = f"alias_of_{name}"
        aliases = dataset.config[key] or ()
        if isinstance(aliases, str):
            refuse(key, aliases, f"a list of fields, such as [{aliases}]")

        for field in aliases:
            if field not in dataset.field2type:
                raise DataError(
                    f"{key}: found '{field}', but no loaded file has this field; allowed are "
                    f"fields among {', '.join(dataset.field2type)} (see load_col and "
                    "additional_feat_suffix)"
                )

    _check_weight_ids(dataset)
    original(dataset)


def _check_weight_ids(dataset: DatasetLike) -> None:
    """Check that the ids of ``preload_weight`` are aliases, if their file is an additional one."""
    weights = dataset.config["preload_weight"]
    if not isinstance(weights, dict):
        return

    aliases: set[str] = set()
    for name in ("user", "item", "entity", "relation"):
        aliases.update(dataset.config[f"alias_of_{name}_id"] or ())

    for id_field, name in weights.items():
        kind = dataset.field2type.get(name)
        # RecBole keeps the suffix of an additional file as text, the kind of others as enumeration
        is_additional = isinstance(dataset.field2source.get(id_field), str)
        is_number = kind is not None and kind.value.startswith("float")
        if is_additional and is_number and id_field not in aliases:
            raise DataError(
                f"preload_weight: found the ids '{id_field}', allowed are ids that "
                "alias_of_item_id or alias_of_user_id names"
            )


def filter_by_inter_num(
    dataset: MultimodalDataset, file: FeatureFile, counts: pd.Series[int]
) -> None:
    """Drop the lines of users or items without enough interactions from an additional file.

    Args:
        dataset: The data set with its filtered interactions.
        file: An additional file of the data set.
        counts: Number of interactions of each user or item before.
    """
    interval = dataset.config[f"{file.side}_inter_num_interval"]
    intervals = dataset._parse_intervals_str(interval)
    if not intervals:
        return

    frame = getattr(dataset, f"{file.suffix}_feat")
    ids = frame[file.id_field]
    left = dataset.inter_feat[id_field(dataset, file.side)]

    # an entity without interactions stays if the intervals allow none
    may_have_none = dataset._within_intervals(0, intervals)
    within = dataset._within_intervals(ids.map(counts).fillna(0), intervals)
    kept = ids.isin(left) | (within & may_have_none)
    setattr(dataset, f"{file.suffix}_feat", frame[kept])


def align(column: pd.Series[Any], entities: NDArray[np.int64], n: int) -> pd.Series[Any]:
    """Sort the values of a file by entity.

    Args:
        column: The values, in the order of the file.
        entities: int64 ``[len(column)]``: the entity of each; each entity once.
        n: Number of entities, padding included.

    Returns:
        A value for each entity; 0 or an empty array for entities without a line.
    """
    found = column.to_numpy()
    values = np.zeros(n, dtype=found.dtype)

    if values.dtype == object:
        # RecBole discretises a number to a list of the number and its bucket
        is_pair = len(found) > 0 and isinstance(found[0], list)

        # NumPy would spread the elements of a list over the rows: an array of one object instead
        empty = np.empty(1, dtype=object)
        empty[0] = [0.0, 0.0] if is_pair else np.array([], dtype=np.int64)
        values[:] = empty

    values[entities] = found
    return pd.Series(values)


def check_weights(dataset: MultimodalDataset) -> None:
    """Check that the fields of ``preload_weight`` belong to a file of users or items.

    Args:
        dataset: The data set with its loaded files.

    Raises:
        DataError: A field is not loaded, or belongs to other ids.
        ConfigError: ``preload_weight`` is no dictionary.
    """
    weights = dataset.config["preload_weight"] or {}
    if not isinstance(weights, dict):
        allowed = "a dictionary of an id field and a field of numbers, such as {iid: item_emb}"
        refuse("preload_weight", weights, allowed)

    for id_field, name in weights.items():
        if name not in dataset.field2type:
            raise DataError(
                f"preload_weight: found '{name}', but no loaded file has this field; allowed are "
                f"fields among {', '.join(dataset.field2type)} (see load_col, "
                "additional_feat_suffix and alias_of_item_id)"
            )
        file = _file_of(dataset, name)
        if file is None:
            dataset.logger.warning(
                f"preload_weight: '{name}' is no field of users or items, and is not used"
            )
        elif id_field not in (file.id_field, file.header_field):
            raise DataError(
                f"preload_weight: found '{id_field}' for '{name}', allowed is "
                f"'{file.header_field}', the ids of {file.path}"
            )


def _file_of(dataset: MultimodalDataset, name: str) -> FeatureFile | None:
    """Find the file of users or items with a field."""
    suffix = _suffix_of(dataset, name)
    for file in dataset.files_with_fields():
        if file.suffix == suffix:
            return file
    return None


def weight_matrix(dataset: MultimodalDataset, id_field: str) -> NDArray[np.float64] | None:
    """Make RecBole's matrix of ``preload_weight`` for an id field.

    Args:
        dataset: The data set.
        id_field: The field of the ids.

    Returns:
        float64 ``[n_entities]`` or ``[n_entities, size]``; None if the key has no such id field, or
        no numbers for it.
    """
    name = (dataset.config["preload_weight"] or {}).get(id_field, "")
    file = _file_of(dataset, name) if name in dataset.field2source else None
    if file is None or not dataset.field2type[name].value.startswith("float"):
        return None

    fields = dataset.served[file.suffix]
    values = fields[name].numpy()
    matrix = np.zeros((dataset.num(file.id_field), *values.shape[1:]))
    matrix[fields[file.id_field].numpy()] = values
    return matrix
