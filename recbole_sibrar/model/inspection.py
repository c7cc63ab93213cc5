"""Checks of the numbers and vectors that a model is given, and their description for the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.model.scaling import blocks, scaling_of, statistics
from recbole_sibrar.names import RESERVED_NAMES

LONGER = 30
"""Ratio of the lengths of two vector fields from which on the longer one outweighs the other."""

_LARGEST = torch.finfo(torch.float32).max ** 0.5
"""Largest number whose square a float32 can hold: lengths, variances and optimisers square what they get."""

_FAR = 1000
"""How many times as far as the others a value lies that makes these count for nothing."""

_FEW = 20
"""Number of values below which none of them counts as an outlier."""


@dataclass(frozen=True)
class NumberField:
    """A field of numbers or vectors that a model encodes."""

    name: str
    """Name of the field."""
    key: str
    """The configuration key that chooses how it is scaled."""
    scaling: str
    """``standard``, ``l2`` or ``none``."""
    size: int
    """Length of a vector; 1 for a number."""
    length: float
    """Median Euclidean length of the values in the data, zeros left out; 0 where there are no others."""
    longest: float
    """Largest Euclidean length of a value."""
    longest_entity: int
    """The entity with that value."""
    mean: float
    """Mean of the training values of a number; 0 for vectors."""
    deviation: float
    """Their standard deviation; 0 for vectors."""

    @property
    def scaled_length(self) -> float:
        """Median length of the vectors that the projection gets."""
        if self.scaling == "none":
            return self.length
        return 1.0 if self.scaling == "l2" else self.size**0.5  # each dimension has variance 1

    @property
    def typical_number(self) -> float:
        """Root mean square of the numbers of a vector of that length."""
        return self.scaled_length / self.size**0.5

    def describe(self) -> str:
        """How the field is scaled, for the log."""
        if self.key == "normalize_vectors" or self.scaling == "none":
            return f"{self.name} {self.scaling} ({self.key})"
        if not self.deviation:
            return f"{self.name} {self.scaling} ({self.key}; all training values are the same and become 0)"
        return f"{self.name} {self.scaling} ({self.key}; mean {self.mean:.6g}, deviation {self.deviation:.4g})"


class Inspection:
    """Looks at the numbers and vectors of one side.

    Args:
        config: The configuration of the side.
        trained: bool ``[n_entities]``: which entities have training interactions.
        source: Where the fields come from, for messages.
        token_of: Original id of an entity, for messages.
    """

    def __init__(self, config: EncoderConfig, trained: Tensor, source: str, token_of: Callable[[int], str]) -> None:
        self.config = config
        self.trained = trained
        self.source = source
        self.token_of = token_of

    def fields(self, tables: Sequence[ModalityTable]) -> list[NumberField]:
        """Check the numbers and vectors among some modalities.

        Args:
            tables: The modalities that are encoded.

        Raises:
            DataError: A value is not finite, or cannot be squared in float32.
        """
        found = []
        for table in tables:
            if table.name in RESERVED_NAMES or table.kind not in (ModalityKind.SCALAR, ModalityKind.VECTOR):
                continue
            key, mean, deviation = "normalize_vectors", 0.0, 0.0
            if table.kind is ModalityKind.SCALAR:
                key = "normalize_numbers"
                mean, deviation = (float(number) for number in statistics(table, self.trained))
            scaling = scaling_of(self.config, table)
            found.append(NumberField(table.name, key, scaling, table.size, *self._lengths(table), mean, deviation))
        return found

    def _lengths(self, table: ModalityTable) -> tuple[float, float, int]:
        """Median length without zeros, the largest length, and whose it is."""
        entities = table.available.nonzero().flatten()
        lengths, done = [torch.zeros(0, dtype=torch.float64)], 0
        for values in blocks(table, entities):
            usable = values.abs() <= _LARGEST  # NaN is not
            if not bool(usable.all()):
                row = int((~usable).any(1).nonzero()[0])
                self._refuse(table, int(entities[done + row]), float(values[row][~usable[row]][0]))
            lengths.append(values.square().sum(1).sqrt())
            done += len(values)
        joined = torch.cat(lengths)
        if not bool((joined > 0).any()):
            return 0.0, 0.0, 0
        return float(np.median(joined[joined > 0])), float(joined.max()), int(entities[joined.argmax()])

    def _refuse(self, table: ModalityTable, entity: int, number: float) -> None:
        raise DataError(
            f"{self.config.side} field '{table.name}' ({self.source}): found {number:g} for {self._entity(entity)}, "
            f"allowed are numbers up to {_LARGEST:.1e}; leave the cell empty where the value is missing"
        )

    def warnings(self, tables: Sequence[ModalityTable], fields: Sequence[NumberField]) -> list[str]:
        """Warnings about values that make others count for nothing.

        Args:
            tables: The modalities that are encoded.
            fields: What :meth:`fields` found among them.
        """
        by_name = {table.name: table for table in tables}
        found = [self._about_lengths(fields)]
        for field in fields:
            is_number = field.key == "normalize_numbers"
            found.append(self._about_numbers(by_name[field.name], field) if is_number else self._about_vector(field))
        return [warning for warning in found if warning]

    def _about_lengths(self, fields: Sequence[NumberField]) -> str:
        """A warning where the vectors of one field are so long that those of another, or all else, do not count."""
        vectors = [field for field in fields if field.key == "normalize_vectors" and field.length > 0]
        if not vectors or self.config.normalize_branch_input:
            return ""
        ascending = sorted(vectors, key=lambda field: field.scaled_length)
        shortest, longest = ascending[0], ascending[-1]
        ratio = longest.scaled_length / shortest.scaled_length
        advice = "normalize_vectors: l2 or standard brings them to one scale"
        if ratio > LONGER:
            return (
                f"the vectors of the {self.config.side} field '{longest.name}' are {ratio:.3g} times as long as those "
                f"of '{shortest.name}' (median lengths {longest.scaled_length:.3g} and {shortest.scaled_length:.3g}) "
                f"and outweigh them; {advice}"
            )
        largest = max(vectors, key=lambda field: field.typical_number)
        if largest.typical_number > LONGER:
            return (
                f"the vectors of the {self.config.side} field '{largest.name}' have numbers of about "
                f"{largest.typical_number:.3g} and outweigh all other modalities, which have numbers of about 1; "
                f"{advice}"
            )
        return ""

    def _about_vector(self, field: NumberField) -> str:
        """A warning where one vector is so long that it outweighs those of all other entities."""
        if field.scaling == "l2" or field.longest <= _FAR * field.length:
            return ""
        return (
            f"the vector of {self._entity(field.longest_entity)} in the field '{field.name}' is "
            f"{field.longest / field.length:.3g} times as long as the median (normalize_vectors: l2 makes all alike)"
        )

    def _about_numbers(self, table: ModalityTable, field: NumberField) -> str:
        """A warning where a few numbers are so large that all others, standardised, are nearly the same."""
        entities = (table.available & self.trained).nonzero().flatten()
        if field.scaling != "standard" or len(entities) < _FEW:
            return ""
        numbers = table.values_of(entities).double().flatten()
        outermost = max(len(numbers) // 100, 1)
        inner = numbers.sort().values[outermost:-outermost]
        if not 0 < _FAR * float(inner[-1] - inner[0]) < field.deviation:
            return ""
        worst = int((numbers - field.mean).abs().argmax())
        return (
            f"the number {float(numbers[worst]):g} of {self._entity(int(entities[worst]))} in the field '{field.name}' "
            "is so far from the others that these are nearly the same beside it; leave the cell empty where the value "
            "is missing"
        )

    def _entity(self, entity: int) -> str:
        return f"{self.config.side} '{self.token_of(entity)}'"
