"""Checks of the numbers and vectors of a side, and their description for the log."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from logging import Logger
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import torch
from torch import Tensor

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, TrainingData
from recbole_sibrar.errors import DataError
from recbole_sibrar.model.layers.scaling import blocks, scaling_of, statistics
from recbole_sibrar.names import ID, RESERVED_NAMES, SIDES, Side

if TYPE_CHECKING:
    from recbole_sibrar.model.encoder import EntityEncoder

LONGER = 30
"""Ratio of the lengths of two vector fields above which the longer one outweighs the other."""

_LARGEST = torch.finfo(torch.float32).max ** 0.5
"""Root of the largest float32: lengths, variances and optimisers square their input."""

_FAR = 1000
"""Distance of an outlier in multiples of the range of the others, which then look the same."""

_FEW = 20
"""Smallest number of values with an outlier among them."""


@dataclass(frozen=True)
class NumberField:
    """A field of numbers or vectors among the encoded modalities."""

    name: str
    """Name of the field."""
    key: str
    """Configuration key of its scaling."""
    scaling: str
    """``standard``, ``l2`` or ``none``."""
    size: int
    """Length of a vector; 1 for a number."""
    length: float
    """Median Euclidean length of the values in the data, zeros left out; 0 without others."""
    longest: float
    """Largest Euclidean length of a value."""
    longest_entity: int
    """Internal id of the entity with that value."""
    mean: float
    """Mean of the training values of a number; 0 for vectors."""
    deviation: float
    """Standard deviation of the training values of a number; 0 for vectors."""

    @property
    def is_vector(self) -> bool:
        """True for a field of vectors, False for one of numbers."""
        return self.key == "normalize_vectors"

    @property
    def scaled_length(self) -> float:
        """Median length of the vectors after scaling."""
        if self.scaling == "none":
            return self.length
        if self.scaling == "l2":
            return 1.0
        return math.sqrt(self.size)  # each dimension has variance 1

    @property
    def typical_number(self) -> float:
        """Root mean square of the numbers in a vector of that length."""
        return self.scaled_length / math.sqrt(self.size)

    def describe(self) -> str:
        """Describe the scaling of the field, for the log."""
        if self.is_vector or self.scaling == "none":
            return f"{self.name} {self.scaling} ({self.key})"

        effect = f"mean {self.mean:.6g}, deviation {self.deviation:.4g}"
        if not self.deviation:
            effect = "all training values are the same and become 0"
        return f"{self.name} {self.scaling} ({self.key}; {effect})"


class Inspection:
    """Checks of the numbers and vectors of one side.

    Args:
        config: Configuration of the side.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        source: File of the fields, for messages.
        token_of: Returns the original id of an entity, for messages.
    """

    def __init__(
        self, config: EncoderConfig, trained: Tensor, source: str, token_of: Callable[[int], str]
    ) -> None:
        self.config = config
        self.trained = trained
        self.source = source
        self.token_of = token_of

    def log(self, tables: Sequence[ModalityTable], logger: Logger) -> None:
        """Check the numbers and vectors among some modalities, and log their scaling and warnings.

        Args:
            tables: The encoded modalities.
            logger: Receives the lines.

        Raises:
            DataError: A value is not finite, or cannot be squared in float32.
        """
        fields = self.fields(tables)
        if fields:
            described = ", ".join(field.describe() for field in fields)
            logger.info(f"scaling of {self.config.side} fields: {described}")

        for warning in self.warnings(tables, fields):
            logger.warning(warning)

    def fields(self, tables: Sequence[ModalityTable]) -> list[NumberField]:
        """Check the numbers and vectors among some modalities.

        Args:
            tables: The encoded modalities.

        Raises:
            DataError: A value is not finite, or cannot be squared in float32.
        """
        kinds = (ModalityKind.SCALAR, ModalityKind.VECTOR)
        fields: list[NumberField] = []
        for table in tables:
            # DropoutNet's interactions are vectors too, and of no file.
            if table.kind in kinds and table.name not in RESERVED_NAMES:
                fields.append(self._field(table))
        return fields

    def _field(self, table: ModalityTable) -> NumberField:
        key = "normalize_vectors"
        mean = deviation = 0.0
        if table.kind is ModalityKind.SCALAR:
            key = "normalize_numbers"
            mean, deviation = (float(number) for number in statistics(table, self.trained))

        median, longest, longest_entity = self._lengths(table)
        return NumberField(
            name=table.name,
            key=key,
            scaling=scaling_of(self.config, table),
            size=table.size,
            length=median,
            longest=longest,
            longest_entity=longest_entity,
            mean=mean,
            deviation=deviation,
        )

    def _lengths(self, table: ModalityTable) -> tuple[float, float, int]:
        """Median length without zeros, the largest length, and its entity."""
        entities = table.available.nonzero().flatten()
        # Made once: a small tensor kept from each block would lie in the hole that the block
        # leaves, so that the next block needs new memory.
        lengths = torch.zeros(len(entities), dtype=torch.float64)
        done = 0

        for values in blocks(table, entities):
            usable = values.abs() <= _LARGEST  # False for NaN
            if not bool(usable.all()):
                row = int((~usable).any(1).nonzero()[0])
                number = float(values[row][~usable[row]][0])
                self._refuse(table, int(entities[done + row]), number)
            lengths[done : done + len(values)] = values.square().sum(1).sqrt()
            done += len(values)

        # Vectors of zeros often stand for missing ones, and would lower the median.
        positive = lengths[lengths > 0]
        if not len(positive):
            return 0.0, 0.0, 0
        return float(np.median(positive)), float(lengths.max()), int(entities[lengths.argmax()])

    def _refuse(self, table: ModalityTable, entity: int, number: float) -> NoReturn:
        raise DataError(
            f"{self.config.side} field '{table.name}' ({self.source}): found {number:g} for "
            f"{self._entity(entity)}, allowed are numbers up to {_LARGEST:.1e}; leave the cell "
            "empty where the value is missing"
        )

    def warnings(self, tables: Sequence[ModalityTable], fields: Sequence[NumberField]) -> list[str]:
        """Warn of values that outweigh all others.

        Args:
            tables: The encoded modalities.
            fields: Result of :meth:`fields` for them.
        """
        # About all fields first, then about each of them.
        by_name = {table.name: table for table in tables}
        found = [self._about_lengths(fields)]
        for field in fields:
            if field.is_vector:
                found.append(self._about_vector(field))
            else:
                found.append(self._about_numbers(by_name[field.name], field))
        return [warning for warning in found if warning]

    def _about_lengths(self, fields: Sequence[NumberField]) -> str:
        """Warning about a field with vectors so long that others do not count."""
        vectors = [field for field in fields if field.is_vector and field.length > 0]
        # At unit length in front of the branch, no field is longer than another.
        if not vectors or self.config.normalize_branch_input:
            return ""

        ascending = sorted(vectors, key=lambda field: field.scaled_length)
        shortest, longest = ascending[0], ascending[-1]
        ratio = longest.scaled_length / shortest.scaled_length
        advice = "normalize_vectors: l2 or standard brings them to one scale"
        if ratio > LONGER:
            return (
                f"the vectors of the {self.config.side} field '{longest.name}' are {ratio:.3g} "
                f"times as long as those of '{shortest.name}' (median lengths "
                f"{longest.scaled_length:.3g} and {shortest.scaled_length:.3g}) and outweigh them; "
                f"{advice}"
            )

        largest = max(vectors, key=lambda field: field.typical_number)
        if largest.typical_number > LONGER:
            return (
                f"the vectors of the {self.config.side} field '{largest.name}' have numbers of "
                f"about {largest.typical_number:.3g} and outweigh all other modalities, which have "
                f"numbers of about 1; {advice}"
            )
        return ""

    def _about_vector(self, field: NumberField) -> str:
        """Warning about one vector that outweighs those of all other entities."""
        if field.scaling == "l2" or field.longest <= _FAR * field.length:
            return ""

        ratio = field.longest / field.length
        return (
            f"the vector of {self._entity(field.longest_entity)} in the field '{field.name}' is "
            f"{ratio:.3g} times as long as the median (normalize_vectors: l2 makes all alike)"
        )

    def _about_numbers(self, table: ModalityTable, field: NumberField) -> str:
        """Warning about a few numbers beside which the others are nearly the same."""
        entities = (table.available & self.trained).nonzero().flatten()
        if field.scaling != "standard" or len(entities) < _FEW:
            return ""

        # The range without the outermost hundredth at both ends, which holds the outliers.
        numbers = table.values_of(entities).double().flatten()
        n_outermost = max(len(numbers) // 100, 1)
        inner = numbers.sort().values[n_outermost:-n_outermost]
        inner_range = float(inner[-1] - inner[0])
        if not 0 < _FAR * inner_range < field.deviation:
            return ""

        worst = int((numbers - field.mean).abs().argmax())
        return (
            f"the number {float(numbers[worst]):g} of {self._entity(int(entities[worst]))} in the "
            f"field '{field.name}' is so far from the others that these are nearly the same beside "
            "it; leave the cell empty where the value is missing"
        )

    def _entity(self, entity: int) -> str:
        return f"{self.config.side} '{self.token_of(entity)}'"


def inspect_sides(
    dataset: TrainingData,
    tables: Mapping[Side, dict[str, ModalityTable]],
    encoders: Mapping[Side, EncoderConfig],
    modalities: Mapping[Side, tuple[str, ...]],
    logger: Logger,
) -> None:
    """Check the numbers and vectors of both sides, and log their scaling.

    Args:
        dataset: Training data, for files and original ids in messages.
        tables: All modalities of each side.
        encoders: Configuration of each side.
        modalities: Modalities of each side to train with.
        logger: Logger of the run.
    """
    for side in SIDES:
        trained = tables[side][ID].available
        source = dataset.describe_source(side)
        inspection = Inspection(encoders[side], trained, source, partial(_token_of, dataset, side))
        inspection.log([tables[side][name] for name in modalities[side]], logger)


def _token_of(dataset: TrainingData, side: Side, entity: int) -> str:
    """Original id of a user or item."""
    field = dataset.uid_field if side == "user" else dataset.iid_field
    return str(dataset.field2id_token[field][entity])


def log_entities_without(encoders: Iterable[EntityEncoder], logger: Logger) -> None:
    """Log how many entities of each side have none of its modalities."""
    for encoder in encoders:
        if n_without := int(encoder.without().sum()):
            names = ", ".join(encoder.eval_modalities)
            logger.info(
                f"{n_without} of {encoder.n_entities - 1} {encoder.config.side}s have none of "
                f"the modalities {names}; they get the mean of the training embeddings"
            )


def unused_fields(names: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
    """Find the fields of the data that are no modalities of the model."""
    return tuple(name for name in names if name not in chosen and name not in RESERVED_NAMES)
