"""Recording the data of a data set for a checkpoint, and reusing the record of a checkpoint.

With the configuration of a checkpoint, users, items and labels keep their numbers from training,
new ones follow, and number fields are scaled as in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureType

from recbole_sibrar.data.record import scaling
from recbole_sibrar.data.record.fingerprint import Hashes
from recbole_sibrar.data.record.tables import Tables
from recbole_sibrar.data.record.training_data import (
    FILE,
    KEY,
    TrainingData,
    differences,
    extends,
    id_differences,
    joined,
)
from recbole_sibrar.errors import DataError
from recbole_sibrar.protocols import DatasetLike, FullConfig

Remapped = list[tuple[pd.DataFrame | None, str, FeatureType]]
"""RecBole's columns to number together: frame, field and type."""


class Recorder:
    """Collects the record of a data set while RecBole processes it.

    Args:
        dataset: RecBole's ``Dataset`` with the names of its id fields.
    """

    def __init__(self, dataset: Dataset) -> None:
        plain = dataset.config.__dict__.get(KEY)
        self.kept = None if plain is None else TrainingData.from_plain(plain)
        """Record of the checkpoint, if the configuration is one of a checkpoint."""

        self.fields = (dataset.uid_field, dataset.iid_field)
        self.groups: dict[str, str] = {}
        """Field of ids or labels -> first of the fields with the same numbers."""

        self.tokens: dict[str, str | Sequence[str]] = {}
        self.means: dict[str, float] = {}
        self.ranges: dict[str, tuple[float, float]] = {}
        self.buckets: dict[str, scaling.Buckets] = {}
        self.tables: dict[str, dict[str, int]] = {}
        self.hashes: dict[str, Hashes] = {}
        """Hashes of ids and labels, for the fingerprints of the data and of the parts of the
        split."""

    def n_known(self, name: str) -> int | None:
        """Count the ids or labels of a field in training, padding included.

        Without an earlier record it is None.
        """
        group = self.groups.get(name, name)
        if self.kept is None or group not in self.kept.tokens:
            return None
        return 1 + len(self.kept.tokens_of(group))

    def record(self, parts: Sequence[DatasetLike] = ()) -> TrainingData:
        """Make the record.

        Args:
            parts: The data sets of training, validation and test; none if the data are not split.
        """
        fingerprints: Sequence[tuple[int, int]] = ()
        if parts:
            fingerprints = Tables(parts[0], self.groups, self.hashes).parts(parts)
        return TrainingData(
            *self.fields,
            self.tokens,
            self.means,
            self.ranges,
            self.buckets,
            self.tables,
            fingerprints,
            known_only=self.kept is not None,
        )


def recorder_of(dataset: Dataset) -> Recorder:
    """Find or make the recorder of a data set; the parts of a split share it."""
    if "recorder" not in dataset.__dict__:
        dataset.recorder = Recorder(dataset)
    recorder: Recorder = dataset.recorder
    return recorder


def record_of(train: Any) -> TrainingData | None:
    """Find or make the record of a training loader's data; None without a recorder."""
    if "training_data" in train.__dict__:
        noted: TrainingData = train.training_data
        return noted

    dataset = getattr(train, "_dataset", None)
    if "recorder" not in getattr(dataset, "__dict__", ()):
        return None
    return recorder_of(dataset).record()


def note_data(config: FullConfig, train: Any, parts: Sequence[DatasetLike]) -> str | None:
    """Record the data of a training loader, and compare them with the record of the checkpoint.

    Args:
        config: RecBole's ``Config``.
        train: The loader.
        parts: The data sets of training, validation and test.

    Returns:
        A line about the differences; None without differences or without a checkpoint.

    Raises:
        DataError: The model cannot be used with these data.
    """
    record = train.training_data = recorder_of(train._dataset).record(parts)
    kept = recorder_of(train._dataset).kept
    if kept is not None:
        # further training learns nothing about new entities either
        train.training_data = replace(record, tokens={**record.tokens, **kept.tokens})
    if KEY not in config.__dict__:
        return None

    then = TrainingData.from_plain(config.__dict__[KEY])
    found = differences(then, record)
    if not extends(record, then):
        raise DataError(
            f"the data set of a saved file is not that of the checkpoint ({'; '.join(found)}); "
            f"delete the files of save_dataset and save_dataloaders in {config['checkpoint_dir']}"
        )
    # RecBole's models have an embedding for each user, item and label of training alone
    other_ids = id_differences(then, record)
    if other_ids and not hasattr(train._dataset, "modality_tables"):
        raise DataError(
            f"{config['model']} cannot be used for {'; '.join(other_ids)}, "
            "because it was not trained with them; allowed are the users, items and labels of "
            "training"
        )

    if not found:
        return None
    file = config.__dict__[FILE]
    return f"{file}: the data are not those that the model was trained with: {'; '.join(found)}"


def remap(
    original: Callable[[Dataset, Remapped], None],
    dataset: Dataset,
    remap_list: Remapped,
) -> None:
    """Give numbers to ids or labels as RecBole does, after those of the checkpoint."""
    recorder = recorder_of(dataset)
    if not remap_list:
        return

    first = remap_list[0][1]
    for _, name, _ in remap_list:
        recorder.groups[name] = first

    kept = recorder.kept
    if kept is not None and first in kept.tokens:
        # RecBole numbers by first occurrence: a column before the others keeps the old numbers
        known = pd.DataFrame({first: np.array(kept.tokens_of(first), dtype=object)})
        remap_list = [(known, first, FeatureType.TOKEN), *remap_list]

    original(dataset, remap_list)
    tokens = dataset.field2id_token[first].tolist()
    _shorten(dataset.field2token_id, first, tokens)
    recorder.tokens[first] = joined(tokens[1:])  # the number 0 is padding


def _shorten(numbers: dict[str, dict[str, int]], first: str, tokens: list[str]) -> None:
    """Replace NumPy's strings among RecBole's keys by Python's, which take half of the memory."""
    long = numbers[first]
    short = {token: number for number, token in enumerate(tokens)}
    for name in [name for name, kept in numbers.items() if kept is long]:
        numbers[name] = short


def fill_nan(original: Callable[[Dataset], None], dataset: Dataset) -> None:
    """Take the fingerprints of the data, and fill missing numbers with the means of training."""
    recorder = recorder_of(dataset)
    kept = recorder.kept
    # a filled mean depends on the other rows, so that the fingerprints come first
    tables = Tables(dataset, recorder.groups, recorder.hashes, kept)
    recorder.tables = tables.fingerprints()

    for frame, name in _number_columns(dataset):
        if kept is not None and name in kept.means:
            frame[name] = frame[name].fillna(kept.means[name])
        else:
            recorder.means[name] = float(frame[name].mean())
    if kept is not None:
        recorder.means = {**recorder.means, **kept.means}

    original(dataset)


def _number_columns(dataset: Dataset) -> list[tuple[pd.DataFrame, str]]:
    """List the columns of single numbers with their frames."""
    columns: list[tuple[pd.DataFrame, str]] = []
    for frame_name in dataset.feat_name_list:
        frame = getattr(dataset, frame_name)
        for name in frame.columns:
            if dataset.field2type[name] is FeatureType.FLOAT:
                columns.append((frame, name))
    return columns


def normalize(original: Callable[[Dataset], None], dataset: Dataset) -> None:
    """Note the range of each field scaled by RecBole; scale by the range of training."""
    recorder = recorder_of(dataset)
    config = dataset.config
    chosen = config["normalize_field"] or ()
    if not chosen and config["normalize_all"]:
        chosen = dataset.float_like_fields

    # RecBole scales in place: a copy of each column as it was
    before = {}
    number_types = (FeatureType.FLOAT, FeatureType.FLOAT_SEQ)
    for name in chosen:
        if dataset.field2type.get(name) in number_types:
            frame = dataset.field2feats(name)[0]
            before[name] = (frame, frame[name].copy())

    for name, (_, column) in before.items():
        bounds = scaling.range_of(column)
        if bounds is not None:
            recorder.ranges[name] = bounds

    original(dataset)
    if recorder.kept is None:
        return

    for name, bounds in recorder.kept.ranges.items():
        if name in before and recorder.ranges.get(name) != bounds:
            frame, column = before[name]
            frame[name] = scaling.scaled(column, bounds)
    recorder.ranges |= recorder.kept.ranges


def discretization(original: Callable[[Dataset], None], dataset: Dataset) -> None:
    """Note RecBole's buckets; use those of training."""
    recorder = recorder_of(dataset)
    # RecBole deletes entries of the dictionary
    asked = dict(dataset.config["discretization"] or {})

    before = {}
    for name in asked:
        is_number = dataset.field2type.get(name) is FeatureType.FLOAT
        if is_number and name in dataset.config["numerical_features"]:
            before[name] = dataset.field2feats(name)[0][name].to_numpy(np.float64)

    original(dataset)

    for name, numbers in before.items():
        method = asked[name]["method"]
        n_buckets = dataset.field2bucketnum[name]
        found = scaling.measure_buckets(numbers, method, n_buckets)
        kept = (recorder.kept.buckets if recorder.kept else {}).get(name, found)
        recorder.buckets[name] = kept
        if kept != found:
            chosen = scaling.bucketed(numbers, method, asked[name].get("bucket"), kept)
            # RecBole's form of a discretised number: (1, bucket)
            pairs = np.stack([np.ones_like(chosen), chosen], axis=-1)
            dataset.field2feats(name)[0][name] = pairs.tolist()
            dataset.field2bucketnum[name] = kept.count
