"""Embeddings of one side at inference: encoded once, or for a few entities only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.hiding import hide_cells

_FEW = 1 / 8
"""Share of the entities from which on a look-up encodes all of them."""


class EmbeddingLookup:
    """Embeddings of the entities of one side, as they are scored.

    All embeddings are kept until :meth:`forget`, which has to follow each change of the parameters.
    Nothing is kept in training mode, where each step changes them.

    Example:
        >>> from recbole_sibrar.model import SiBraR
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = SiBraR(data.config("SiBraR"), data).eval()
        >>> lookup = EmbeddingLookup(model.encoder_of("item"))
        >>> torch.allclose(lookup.of(torch.tensor([3])), lookup.all()[[3]])
        True

    Args:
        encoder: Encoder of the side.
    """

    def __init__(self, encoder: EntityEncoder) -> None:
        self.encoder = encoder
        self.forget()

    def forget(self) -> None:
        """Drop the kept embeddings."""
        self._embeddings: Tensor | None = None
        self._mean: Tensor | None = None
        self._n_looked_up = 0

    def all(self) -> Tensor:
        """Return the embeddings of all entities, ``[n_entities, k]``."""
        if self._embeddings is not None:
            return self._embeddings

        embeddings = self.encoder.encode_all()
        if not self.encoder.training:
            self._embeddings = embeddings
        return embeddings

    def of(self, entities: Tensor) -> Tensor:
        """Return the embeddings of some entities, ``[n, k]``.

        Few entities are encoded by themselves; from a share of all entities on, in one call or
        several, all are.

        Args:
            entities: int64 ``[n]``.
        """
        # RecBole scores a validation batch by batch: together the batches need most entities.
        earlier = 0 if self.encoder.training else self._n_looked_up
        n = len(entities) + earlier
        if self._embeddings is not None or n >= _FEW * self.encoder.n_entities:
            return self.all()[entities]

        self._n_looked_up = n
        embeddings, has_any = self.encoder.encode(entities)
        # The mean takes an encoding of all entities: it is made when one is without any modality.
        if bool(has_any.all()):
            return embeddings
        return torch.where(has_any[:, None], embeddings, self._mean_embedding())

    def _mean_embedding(self) -> Tensor:
        """Mean embedding of the training entities, for those without any modality."""
        if self._mean is not None:
            return self._mean

        mean = self.encoder.encode_mean()
        if not self.encoder.training:
            self._mean = mean
        return mean

    @contextmanager
    def hiding(self, hidden: Tensor) -> Iterator[None]:
        """Look up as if cells were missing, within a ``with`` block; see :func:`hide_cells`."""
        # Forgotten at both ends: neither embeddings may be found in place of the other.
        with hide_cells(self.encoder, hidden):
            self.forget()
            try:
                yield
            finally:
                self.forget()
