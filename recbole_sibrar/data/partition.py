"""Cold-start splits of a RecBole data set, and files of the parts of any split."""

from __future__ import annotations

import csv
import filecmp
import shutil
import tempfile
from collections.abc import Callable, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureType

from recbole_sibrar.config import ColdStart
from recbole_sibrar.data.atomic import Field, write_frame
from recbole_sibrar.data.split import (
    DROPPED,
    PARTS,
    canonical_order,
    check_disjoint,
    held_out_hash,
    hold_out_known,
    partition_interactions,
)
from recbole_sibrar.data.views import describe_parts
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import DatasetLike

_ROW = "recbole_sibrar_row"
"""Name of a temporary field with the numbers of the rows, to follow them through RecBole's
split."""


def divide(dataset: Dataset, settings: ColdStart, seed: int) -> None:
    """Divide the filtered interactions of a data set into cold-start parts.

    It is called before RecBole numbers the entities. Afterwards the data set equals one that was
    read from a file for each part.

    Args:
        dataset: RecBole's ``Dataset`` with original ids in its frames.
        settings: The split.
        seed: RecBole's ``seed``.

    Raises:
        DataError: A part would be empty, or a time is missing.
    """
    frame = dataset.inter_feat
    users = frame[dataset.uid_field]
    items = frame[dataset.iid_field]
    times = _times(dataset) if settings.order == "TO" else None
    group_by = settings.group_by
    parts = partition_interactions(users, items, settings.ratios, group_by, seed, times)
    others = _other_fields(dataset)
    if settings.warm is not None:
        parts = hold_out_known(parts, users, items, others, settings.warm, seed, times)
    order = canonical_order(parts, users, items, others, seed)

    # RecBole has its own code for benchmark files: it cuts the rows by these sizes, and splits
    # nothing further.
    kept = frame.iloc[order].reset_index(drop=True)
    sizes = np.bincount(parts[parts != DROPPED], minlength=len(PARTS))
    dataset.inter_feat = kept
    dataset.file_size_list = sizes.tolist()
    dataset.benchmark_filename_list = list(PARTS)

    dropped = len(frame) - len(kept)
    if dropped:
        n_users = users.nunique() - kept[dataset.uid_field].nunique()
        n_items = items.nunique() - kept[dataset.iid_field].nunique()
        getLogger().info(
            f"cold start: {dropped} of {len(frame)} interactions are left out, because user and "
            f"item are in different parts; {n_users} users and {n_items} items have no others"
        )


def _times(dataset: Dataset) -> pd.Series[float]:
    """Return the time of each interaction.

    Raises:
        DataError: A time is missing.
    """
    times: pd.Series[float] = dataset.inter_feat[dataset.time_field]
    n_missing = int(times.isna().sum())
    if n_missing:
        raise DataError(
            f"eval_args: order: TO: found {n_missing} of {len(times)} interactions without "
            f"{dataset.time_field}, allowed is a time for each"
        )
    return times


def _other_fields(dataset: DatasetLike) -> list[pd.Series[Any]]:
    """List the columns that distinguish repeated interactions; empty without repetitions."""
    frame = dataset.inter_feat
    ids = list(_id_fields(dataset).values())
    if not frame.duplicated(ids).any():
        return []

    others = []
    for name in frame.columns.difference(ids, sort=False):
        column = frame[name]
        # the arrays of a sequence cannot be sorted
        if dataset.field2type[name] is not FeatureType.FLOAT:
            column = column.map(str)
        others.append(column)
    return others


def _id_fields(dataset: DatasetLike) -> dict[Side, str]:
    """Names of the fields with ids, by side."""
    return {"user": dataset.uid_field, "item": dataset.iid_field}


def check_parts(parts: Sequence[DatasetLike], group_by: str, is_mixed: bool = False) -> str:
    """Check that the built parts of a cold-start split share no cold entity, and describe them.

    Args:
        parts: The data sets of training, validation and test.
        group_by: Divided entities: ``user``, ``item`` or ``both``.
        is_mixed: True if interactions of known entities are held out as well.

    Returns:
        One line with the size of each part, its number of entities without training among those
        that were not divided, and a hash of the held-out pairs.

    Raises:
        DataError: A part is empty, or an entity has interactions in two of them.
    """
    fields = _id_fields(parts[0])
    train = parts[0].inter_feat
    trained = {side: set(train[field].tolist()) for side, field in fields.items()}
    sizes = []

    for name, part in zip(PARTS, parts, strict=True):
        if not len(part.inter_feat):
            raise DataError(f"cold start: the part {name} has no interactions")

        counts = []
        for side, field in fields.items():
            entities = set(part.inter_feat[field].tolist())
            # all divided entities are without training: that needs no note
            is_divided = group_by in (side, "both") and not is_mixed
            n_unknown = 0 if is_divided else len(entities - trained[side])
            note = f" ({n_unknown} without training)" if n_unknown else ""
            counts.append(f"{len(entities)} {side}s{note}")
        sizes.append(f"{name} {', '.join(counts)}, {len(part.inter_feat)} interactions")

    if is_mixed:
        sizes.append(describe_parts(parts, group_by))
    for side, field in fields.items():
        if group_by in (side, "both") and not is_mixed:
            ids = [part.inter_feat[field] for part in parts]
            check_disjoint(ids, parts[0].field2id_token[field], side)

    return f"cold start by {group_by}: {'; '.join(sizes)}; held-out pairs {hash_of(parts)}"


def hash_of(parts: Sequence[DatasetLike]) -> str:
    """Hash the held-out pairs of built parts by original ids.

    See :func:`~recbole_sibrar.data.split.held_out_hash`.

    Args:
        parts: The data sets of training, validation and test.
    """
    pairs = []
    for part in parts[1:]:
        users = _original_ids(part, part.uid_field)
        items = _original_ids(part, part.iid_field)
        pairs.append((users, items))
    return held_out_hash(pairs)


def _original_ids(part: DatasetLike, name: str) -> Any:
    """Original ids of a field with ids, an array of str ``[n_interactions]``."""
    return part.field2id_token[name][part.inter_feat[name].numpy()]


class SplitWriter:
    """Writes the parts of a split as RecBole benchmark files, with the original ids and values.

    It is made between RecBole's filters and its numbering of ids and scaling of numbers, and copies
    the original values. A temporary field follows the rows through RecBole's split.

    Args:
        dataset: RecBole's ``Dataset`` before it numbers the entities.
        filtered: Its interactions after RecBole's filters, before a cold-start split drops any.
    """

    def __init__(self, dataset: DatasetLike, filtered: pd.DataFrame) -> None:
        self.frame = dataset.inter_feat.copy()
        self.fields = [Field(name, dataset.field2type[name].value) for name in self.frame.columns]
        self.kept: dict[str, set[str]] = {}

        for side, name in _id_fields(dataset).items():
            features = getattr(dataset, f"{side}_feat")
            if features is not None:
                self.kept[side] = set(features[name])
            elif _needs_interactions(dataset, side):
                self.kept[side] = set(filtered[name])

        for suffix, file in getattr(dataset, "feature_files", {}).items():
            features = getattr(dataset, f"{suffix}_feat")
            self.kept[suffix] = set(features[file.id_field])

    def build(
        self, dataset: DatasetLike, original: Callable[[], list[DatasetLike]]
    ) -> list[pd.DataFrame]:
        """Run RecBole's split, and keep its parts in :attr:`parts`.

        Args:
            dataset: The data set with numbered ids.
            original: RecBole's own ``build``.

        Returns:
            For each part the original interactions, in the part's order.
        """
        dataset.inter_feat[_ROW] = range(len(dataset.inter_feat))
        dataset.field2type[_ROW] = FeatureType.TOKEN

        self.parts = original()

        # neither models nor checkpoints may see the temporary field
        del dataset.field2type[_ROW]
        dataset.inter_feat.interaction.pop(_ROW, None)
        rows = [part.inter_feat.interaction.pop(_ROW).numpy() for part in self.parts]
        return [self.frame.iloc[row] for row in rows]

    def write(self, dataset: DatasetLike, frames: Sequence[pd.DataFrame], folder: Path) -> None:
        """Write the parts, and the data set's other files beside them.

        The folder is a data set of its own.

        Args:
            dataset: The data set.
            frames: For each part its interactions.
            folder: Target folder; made if it does not exist.

        Raises:
            DataError: The folder cannot be written to, has one of the files with other content, or
                a value cannot be written.
        """
        name = dataset.dataset_name
        separators = (
            dataset.config["field_separator"],
            dataset.config["seq_separator"],
            dataset.config["encoding"],
        )

        try:
            folder.mkdir(parents=True, exist_ok=True)
            # inside the folder, as files are renamed only within one file system
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                target = Path(temporary)
                for part, frame in zip(PARTS, frames, strict=True):
                    file = target / f"{name}.{part}.inter"
                    write_frame(file, self.fields, frame, *separators)
                self._copy_features(dataset, target)
                _move_new(target, folder)
        except OSError as error:
            raise DataError(f"save_split: cannot write to {folder}: {error.strerror}") from None
        except csv.Error:
            raise DataError(
                "save_split: a value in the interactions holds the field_separator "
                f"{separators[0]!r}, and an atomic file cannot hold it"
            ) from None

        getLogger().info(
            f"wrote the parts to {folder}; to read them, run with the same options and "
            f"--data_path={folder} --benchmark_filename=[{','.join(PARTS)}]"
        )

    def _copy_features(self, dataset: DatasetLike, target: Path) -> None:
        """Copy the data set's other files, without the entities dropped by RecBole's filters."""
        id_fields: dict[str, str] = {"user": dataset.uid_field, "item": dataset.iid_field}
        for suffix, feature_file in getattr(dataset, "feature_files", {}).items():
            id_fields[suffix] = feature_file.header_field

        additional = dataset.config["additional_feat_suffix"] or ()
        for suffix in ("user", "item", "net", "kg", "link", "yaml", *additional):
            file = Path(dataset.dataset_path) / f"{dataset.dataset_name}.{suffix}"
            if not file.is_file():
                continue

            copy = target / file.name
            if suffix in self.kept:
                separator = dataset.config["field_separator"]
                encoding = dataset.config["encoding"]
                kept = self.kept[suffix]
                _copy_lines(file, copy, id_fields[suffix], kept, separator, encoding)
            else:
                shutil.copyfile(file, copy)


def _needs_interactions(dataset: Dataset, side: Side) -> bool:
    """Tell if RecBole's filters drop users or items without interactions from their file."""
    if dataset.config["benchmark_filename"] is not None:
        return False
    interval = dataset.config[f"{side}_inter_num_interval"]
    intervals = dataset._parse_intervals_str(interval)
    # the lower end of the first interval
    return bool(intervals) and intervals[0][1] > 0


def _copy_lines(
    file: Path,
    target: Path,
    field: str,
    kept: set[str],
    separator: str,
    encoding: str | None,
) -> None:
    """Copy the header and the lines of some users or items, byte for byte."""
    encoding = encoding or "utf-8"
    # newline="" keeps the ends of lines as they are
    with (
        open(file, encoding=encoding, newline="") as lines,
        open(target, "w", encoding=encoding, newline="") as copy,
    ):
        header = next(lines)
        cells = header.rstrip("\r\n").split(separator)
        column = [cell.rpartition(":")[0] for cell in cells].index(field)
        copy.write(header)

        for line in lines:
            cells = line.rstrip("\r\n").split(separator)
            is_blank = not any(cells)
            # pandas reads a quoted id without its quotation marks
            is_kept = len(cells) > column and cells[column].strip('"') in kept
            if is_blank or is_kept:
                copy.write(line)


def _move_new(source: Path, folder: Path) -> None:
    """Move files to a folder; files with equal content may be there already.

    Raises:
        DataError: The folder has a file with other content; then nothing is moved.
    """
    new = [file for file in sorted(source.iterdir()) if not (folder / file.name).exists()]

    # all comparisons before the first move, so that an error leaves the folder unchanged
    for file in source.iterdir():
        if file not in new and not filecmp.cmp(file, folder / file.name, shallow=False):
            raise DataError(
                f"save_split: found {folder}, which has a file {file.name} with other content, "
                "allowed is another folder; no file is overwritten"
            )

    for file in new:
        file.replace(folder / file.name)
