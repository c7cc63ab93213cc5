"""A cold-start split of a RecBole data set, and the parts of any split as files that RecBole reads."""

from __future__ import annotations

import csv
import filecmp
import shutil
import tempfile
from collections.abc import Callable, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import pandas as pd
from recbole.utils import FeatureType

from recbole_sibrar.config import ColdStart
from recbole_sibrar.data.atomic import DataError, Field, write_frame
from recbole_sibrar.data.split import PARTS, canonical_order, check_disjoint, held_out_hash, partition_interactions
from recbole_sibrar.names import Side

_ROW = "recbole_sibrar_row"
"""Name of a field that follows the rows of the interactions through RecBole's split, and is gone afterwards."""


def divide(dataset: Any, settings: ColdStart, seed: int) -> None:
    """Divide the filtered interactions of a data set into cold-start parts, before RecBole numbers the entities.

    Afterwards the data set is as if it had been read from one file for each part, which RecBole knows how to treat.

    Args:
        dataset: RecBole's ``Dataset``, whose frames hold original ids.
        settings: The split.
        seed: RecBole's ``seed``.

    Raises:
        DataError: A part would be empty, or a time is missing.
    """
    frame = dataset.inter_feat
    users, items = frame[dataset.uid_field], frame[dataset.iid_field]
    times = _times(dataset) if settings.order == "TO" else None
    parts = partition_interactions(users, items, settings.ratios, settings.group_by, seed, times)
    order = canonical_order(parts, users, items, _other_fields(dataset), seed)
    dataset.inter_feat = frame.iloc[order].reset_index(drop=True)
    dataset.file_size_list = [int((parts == part).sum()) for part in range(len(PARTS))]
    dataset.benchmark_filename_list = list(PARTS)
    dropped = len(frame) - len(order)
    if dropped:
        kept = dataset.inter_feat
        lost = {side: len(set(frame[name]) - set(kept[name])) for side, name in _id_fields(dataset).items()}
        getLogger().info(
            f"cold start: {dropped} of {len(frame)} interactions are left out, whose user and item are in different "
            f"parts; {lost['user']} users and {lost['item']} items have no others"
        )


def _times(dataset: Any) -> pd.Series[float]:
    """Return the time of each interaction.

    Raises:
        DataError: A time is missing.
    """
    times: pd.Series[float] = dataset.inter_feat[dataset.time_field]
    n_missing = int(times.isna().sum())
    if n_missing:
        raise DataError(
            f"eval_args: order: TO: found {n_missing} of {len(times)} interactions without {dataset.time_field}, "
            "allowed is a time for each"
        )
    return times


def _other_fields(dataset: Any) -> list[pd.Series]:
    """What tells repeated interactions of a user and an item apart; nothing where there are none."""
    frame, ids = dataset.inter_feat, list(_id_fields(dataset).values())
    if not frame.duplicated(ids).any():
        return []
    return [
        frame[name] if dataset.field2type[name] is FeatureType.FLOAT else frame[name].map(str)
        for name in frame.columns
        if name not in ids
    ]


def _id_fields(dataset: Any) -> dict[Side, str]:
    return {"user": dataset.uid_field, "item": dataset.iid_field}


def check_parts(parts: Sequence[Any], group_by: str) -> str:
    """Check that the built parts of a cold-start split share no cold entity, and describe them.

    Args:
        parts: The data sets of training, validation and test.
        group_by: ``user``, ``item`` or ``both``.

    Returns:
        One line with the size of each part, how many of its entities training does not know though they were not
        held out, and a hash of the held-out pairs.

    Raises:
        DataError: A part is empty, or an entity has interactions in two of them.
    """
    fields = _id_fields(parts[0])
    trained = {side: set(parts[0].inter_feat[field].tolist()) for side, field in fields.items()}
    sizes = []
    for name, part in zip(PARTS, parts, strict=True):
        if not len(part.inter_feat):
            raise DataError(f"cold start: the part {name} has no interactions")
        counts = []
        for side, field in fields.items():
            entities = set(part.inter_feat[field].tolist())
            unknown = 0 if group_by in (side, "both") else len(entities - trained[side])
            counts.append(f"{len(entities)} {side}s" + (f" ({unknown} without training)" if unknown else ""))
        sizes.append(f"{name} {', '.join(counts)}, {len(part.inter_feat)} interactions")
    for side, field in fields.items():
        if group_by in (side, "both"):
            check_disjoint([part.inter_feat[field] for part in parts], parts[0].field2id_token[field], side)
    return f"cold start by {group_by}: {'; '.join(sizes)}; held-out pairs {hash_of(parts)}"


def hash_of(parts: Sequence[Any]) -> str:
    """Hash of the held-out pairs of built parts, by original ids; see :func:`~recbole_sibrar.data.split.held_out_hash`.

    Args:
        parts: The data sets of training, validation and test.
    """
    fields = _id_fields(parts[0]).values()
    return held_out_hash(
        [tuple(part.field2id_token[name][part.inter_feat[name].numpy()] for name in fields) for part in parts[1:]]
    )


class SplitWriter:
    """Writes the parts of a split as RecBole benchmark files, with the original ids and values.

    Made when the interactions have been filtered and still hold what the file said; RecBole then numbers the ids and
    scales the numbers. The rows are followed through its split by their numbers.

    Args:
        dataset: RecBole's ``Dataset`` before it numbers the entities.
        filtered: Its interactions after RecBole's filters, before a cold-start split left any out.
    """

    def __init__(self, dataset: Any, filtered: pd.DataFrame) -> None:
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
            self.kept[suffix] = set(getattr(dataset, f"{suffix}_feat")[file.id_field])

    def build(self, dataset: Any, original: Callable[[], list[Any]]) -> list[pd.DataFrame]:
        """Run RecBole's split, whose parts are in :attr:`parts` afterwards.

        Args:
            dataset: The data set, numbered.
            original: RecBole's own ``build``.

        Returns:
            For each part the original interactions, in the part's order.
        """
        dataset.inter_feat[_ROW] = range(len(dataset.inter_feat))
        dataset.field2type[_ROW] = FeatureType.TOKEN
        self.parts = original()
        del dataset.field2type[_ROW]
        dataset.inter_feat.interaction.pop(_ROW, None)
        rows = [part.inter_feat.interaction.pop(_ROW).numpy() for part in self.parts]
        return [self.frame.iloc[row] for row in rows]

    def write(self, dataset: Any, frames: Sequence[pd.DataFrame], folder: Path) -> None:
        """Write the parts, and the data set's other files beside them, so that the folder is a data set.

        Args:
            dataset: The data set.
            frames: For each part its interactions.
            folder: Where to write; made if it does not exist. Everything is written to a temporary folder first.

        Raises:
            DataError: The folder cannot be written to, has one of the files with other content, or a value cannot
                be written.
        """
        name = dataset.dataset_name
        separators = (dataset.config["field_separator"], dataset.config["seq_separator"], dataset.config["encoding"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                for part, frame in zip(PARTS, frames, strict=True):
                    write_frame(Path(temporary) / f"{name}.{part}.inter", self.fields, frame, *separators)
                self._copy_features(dataset, Path(temporary))
                _move_new(Path(temporary), folder)
        except OSError as error:
            raise DataError(f"save_split: cannot write to {folder}: {error.strerror}") from None
        except csv.Error:
            raise DataError(
                f"save_split: a value in the interactions holds the field_separator {separators[0]!r}, "
                "which an atomic file cannot"
            ) from None
        getLogger().info(
            f"wrote the parts to {folder}; to read them, run with the same options and --data_path={folder} "
            f"--benchmark_filename=[{','.join(PARTS)}]"
        )

    def _copy_features(self, dataset: Any, target: Path) -> None:
        """Copy the data set's other files, without the users and items that RecBole's filters have dropped."""
        ids: dict[str, str] = {str(side): field for side, field in _id_fields(dataset).items()}
        others = {suffix: file.header_field for suffix, file in getattr(dataset, "feature_files", {}).items()}
        for suffix in (*ids, "net", "kg", "link", "yaml", *(dataset.config["additional_feat_suffix"] or ())):
            file = Path(dataset.dataset_path) / f"{dataset.dataset_name}.{suffix}"
            if not file.is_file():
                continue
            if suffix in self.kept:
                separator, encoding = dataset.config["field_separator"], dataset.config["encoding"]
                id_field = {**ids, **others}[suffix]
                _copy_lines(file, target / file.name, id_field, self.kept[suffix], separator, encoding)
            else:
                shutil.copyfile(file, target / file.name)


def _needs_interactions(dataset: Any, side: Side) -> bool:
    """Whether RecBole's filters drop the users or items without interactions from a file that has been read."""
    if dataset.config["benchmark_filename"] is not None:
        return False
    intervals = dataset._parse_intervals_str(dataset.config[f"{side}_inter_num_interval"])
    return bool(intervals) and intervals[0][1] > 0


def _copy_lines(file: Path, target: Path, field: str, kept: set[str], separator: str, encoding: str | None) -> None:
    """Copy the header and the lines of some users or items, byte for byte."""
    encoding = encoding or "utf-8"
    with (
        open(file, encoding=encoding, newline="") as lines,
        open(target, "w", encoding=encoding, newline="") as copy,
    ):
        header = next(lines)
        column = [cell.rpartition(":")[0] for cell in header.rstrip("\r\n").split(separator)].index(field)
        copy.write(header)
        for line in lines:
            cells = line.rstrip("\r\n").split(separator)
            if not any(cells) or (len(cells) > column and cells[column].strip('"') in kept):
                copy.write(line)


def _move_new(source: Path, folder: Path) -> None:
    """Move files to a folder, which may have them already.

    Raises:
        DataError: It has one with other content; then nothing is moved.
    """
    new = [file for file in sorted(source.iterdir()) if not (folder / file.name).exists()]
    for file in source.iterdir():
        if file not in new and not filecmp.cmp(file, folder / file.name, shallow=False):
            raise DataError(
                f"save_split: found {folder}, which has a file {file.name} with other content, allowed is another "
                "folder; no file is overwritten"
            )
    for file in new:
        file.replace(folder / file.name)
