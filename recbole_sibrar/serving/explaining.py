"""Parts of a score: the modalities that an embedding is made of, and what each adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.errors import DataError, PortableModelError, listed
from recbole_sibrar.names import Side
from recbole_sibrar.serving.bundle.content import Content
from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.encoding.encoder import Encoded
from recbole_sibrar.serving.ranking import Scores, Vectors, dot_products

__all__ = ["MEAN", "PartStore", "Parts", "explain_score", "similarity"]

_ROUNDING = float(torch.finfo(torch.float32).eps)
_TINY = float(torch.finfo(torch.float32).tiny)

MEAN = "(mean)"
"""Name of the part of an entity without any modality: the mean embedding of training."""


@dataclass(frozen=True)
class Parts:
    """One user or item as its modalities."""

    embedding: Tensor
    """float ``[k]``: the scored embedding."""
    alone: dict[str, Tensor]
    """Available modality -> embedding of that modality alone, ``[k]``."""
    aggregation: str | None
    """``mean``, ``sum`` or ``max``; None where the embedding is no aggregate."""

    def mean(self, modalities: Sequence[str]) -> Tensor | None:
        """Mean ``[k]`` of those of some modalities that are available; None without any."""
        held = [self.alone[name] for name in modalities if name in self.alone]
        return torch.stack(held).mean(0) if held else None

    def summands(self, model: str, side: Side) -> dict[str, Tensor]:
        """Divide the embedding into vectors ``[k]`` that sum to it, one for each modality.

        Raises:
            DataError: The embedding is no aggregate of the modalities'.
        """
        if not self.alone:
            return {MEAN: self.embedding}
        if len(self.alone) == 1:
            return dict.fromkeys(self.alone, self.embedding)
        if self.aggregation is None:
            raise DataError(
                f"{model} encodes all modalities of a {side} at once, so that its score is no sum "
                "over them; allowed are SiBraR and MuBraR"
            )

        views = torch.stack(list(self.alone.values()))  # [m, k]
        if self.aggregation == "mean":
            return dict(zip(self.alone, views / len(views), strict=True))
        if self.aggregation == "sum":
            return dict(self.alone)

        # The maximum of a dimension belongs to one modality alone, the first among equal ones.
        winner = views.argmax(0)
        places = torch.arange(len(views))[:, None]
        own = torch.where(winner == places, views, 0)  # [m, k]
        return dict(zip(self.alone, own, strict=True))


class PartStore:
    """Embeddings of single modalities of one side, stored ones and those of added items.

    Args:
        content: The portable model.
        side: ``user`` or ``item``.
    """

    def __init__(self, content: Content, side: Side) -> None:
        self.side = side
        self.spec = content.manifest.side(side)
        self.model = content.manifest.model
        self.stored = content.side(side).parts
        self.available = content.side(side).available
        self.later: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}

    @property
    def aggregation(self) -> str | None:
        """Aggregation of the modalities; None for an encoder of all of them at once."""
        if self.spec.encoder not in ("single_branch", "multi_branch"):
            return None
        return str(self.spec.config["aggregation"])

    def _names_of(self, available: Tensor) -> list[str]:
        """Names of the modalities that a row ``[n_modalities]`` marks."""
        return list(compress(self.spec.modalities, available.tolist()))

    def of_encoded(self, encoded: Encoded, row: int = 0) -> Parts:
        """Parts of a new user or item."""
        names = self._names_of(encoded.available[row])
        alone = {name: encoded.parts[name][row] for name in names}
        return Parts(encoded.embeddings[row], alone, self.aggregation)

    def of(self, number: int, embedding: Tensor) -> Parts:
        """Parts of a known user or item.

        Raises:
            PortableModelError: They are not stored.
        """
        if number in self.later:
            _, alone = self.later[number]
            return Parts(embedding, alone, self.aggregation)

        names = self._names_of(self._stored_available()[number])
        # They may be stored in half precision.
        alone = {name: self.stored[name][number].float() for name in names}
        return Parts(embedding, alone, self.aggregation)

    def _stored_available(self) -> Tensor:
        if self.available is None:
            raise PortableModelError(
                "the model holds no embeddings of single modalities; export it with --modalities "
                "to have explanations"
            )
        return self.available

    def put(self, numbers: NDArray[np.int64], encoded: Encoded) -> None:
        """Take the parts of added or replaced items."""
        for row, number in enumerate(numbers):
            parts = self.of_encoded(encoded, row)
            self.later[int(number)] = (parts.embedding, parts.alone)

    def similarity(self, parts: Parts, modalities: Sequence[str], catalogue: Catalogue) -> Scores:
        """Compute the cosine of some modalities of an item with those of all items.

        Args:
            parts: The item.
            modalities: The modalities.
            catalogue: All items.

        Returns:
            Scores ``[1, n]``; -inf for items without any of the modalities, and for removed ones.

        Raises:
            DataError: A modality is unknown, or the item has none of them.
        """
        for name in modalities:
            if name not in self.spec.modalities:
                raise DataError(
                    f"modality '{name}' is unknown, there are {listed(self.spec.modalities, name)}"
                )
        wanted = parts.mean(modalities)
        if wanted is None:
            raise DataError(f"the item has none of the modalities {', '.join(modalities)}")

        columns = [self.spec.modalities.index(name) for name in modalities]
        available = self._stored_available()[:, columns]
        stored = Vectors(self._stored_means(modalities, available))
        has_any = torch.zeros(catalogue.n, dtype=torch.bool)
        has_any[: len(available)] = available.any(1)

        # A copy of the keys: another thread may be adding items, which this catalogue lacks.
        later = [number for number in list(self.later) if number < catalogue.n]
        vectors = wanted.new_zeros(len(later), len(wanted))
        for row, number in enumerate(later):
            mean = self.of(number, wanted).mean(modalities)
            has_any[number] = mean is not None
            if mean is not None:
                vectors[row] = mean

        changed = np.array(later, dtype=np.int64)
        compared = replace(catalogue, stored=stored, changed=changed, vectors=vectors)
        return similarity(compared, wanted).without(~has_any)

    def _stored_means(self, modalities: Sequence[str], mask: Tensor) -> Tensor:
        """Mean ``[n, k]`` of the modalities that each stored item has; zeros without any."""
        # One modality at a time: all of them at once would be [n, n_modalities, k].
        total = torch.zeros(len(mask), self.stored[modalities[0]].shape[1])
        for column, name in enumerate(modalities):
            total += self.stored[name].float() * mask[:, column, None]
        return total / mask.sum(1, keepdim=True).clamp(min=1)


def similarity(catalogue: Catalogue, vector: Tensor) -> Scores:
    """Compute the cosine of a vector with all items; -inf for removed ones.

    Args:
        catalogue: The items.
        vector: float ``[k]``.
    """
    lengths = torch.ones(catalogue.n)
    lengths[: len(catalogue.base)] = catalogue.stored.lengths
    if len(catalogue.changed):
        lengths[torch.from_numpy(catalogue.changed)] = catalogue.vectors.norm(dim=1)
    cosines = catalogue.scores(vector[None]) / (lengths * vector.norm()).clamp(min=_TINY)

    def rescore(rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        taken = catalogue.take(numbers)
        own_square = float(dot_products(vector[None], vector[None])[0])
        squares = dot_products(taken, taken) * own_square
        products = dot_products(vector.expand_as(taken), taken)
        cosines: NDArray[np.float32] = products / np.sqrt(squares).clip(min=_TINY)
        return cosines

    # Bound for a cosine, which is at most 1: k products and a few steps more, each rounded.
    return Scores(cosines, rescore, _ROUNDING * (len(vector) + 4))


def explain_score(model: str, user: Parts, item: Parts) -> list[tuple[str, str, float]]:
    """Divide a score among the modalities of user and item.

    Args:
        model: Name of the model, for messages.
        user: The user.
        item: The item.

    Returns:
        Modality of the user, modality of the item, and their part of the score.
    """
    of_user = user.summands(model, "user")
    of_item = item.summands(model, "item")

    # The product of two sums is the sum of the products of their summands.
    parts: list[tuple[str, str, float]] = []
    for (own, vector), (other, other_vector) in product(of_user.items(), of_item.items()):
        parts.append((own, other, float(vector @ other_vector)))
    return parts
