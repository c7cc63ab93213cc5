"""Encoders of all modalities of an entity at once, for the baselines of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.config.values import ByField
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.branches import make_network
from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.layers import IdLayer, to_float32
from recbole_sibrar.model.layers.gathering import distinct, gather_rows
from recbole_sibrar.parallel.synchronization import Shared

WITHOUT_SAMPLING: dict[str, Any] = {
    "normalize_interactions": True,
    "aggregation": "mean",
    "branch_budget": "per_modality",
    "modality_sampling": False,
    "projection_activation": "none",
    "projection_kernel": ByField("none"),
    "label_pooling": "mean",
    "interaction_dropout_prob": 0.0,
    "drawn_modalities": "fewest",
    "drawn_per": "occurrence",
    "matmul_precision": "highest",
    "central_modality": None,
}
"""Keys without a meaning for a model that draws no modalities, each with its only value."""

FIXED: dict[str, Any] = {
    **WITHOUT_SAMPLING,
    "contrastive": "none",
    "contrastive_scope": "sample",
    "contrastive_weight": 0.0,
    "temperature": 1.0,
}
"""Keys without a meaning for one network on all modalities, each with its only value."""


class ConcatenationEncoder(EntityEncoder):
    """Encoder with concatenated projections and one network.

    A missing modality is a block of zeros.

    An entity whose only modality is ``id`` is looked up, as in
    :class:`~recbole_sibrar.model.encoder.EntityEncoder`.

    Args:
        config: Configuration of the side; its keys of sampling, aggregation and contrast do not
            apply.
        tables: Modalities, in order.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        droppable: Name of the modality to hide at random in training, if the side has it.
        drop_prob: Share of a batch's distinct entities with a hidden modality.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tables: Sequence[ModalityTable],
        trained: Tensor,
        droppable: str = "",
        drop_prob: float = 0.0,
    ) -> None:
        super().__init__(config, tables, trained)
        self.drop_prob = drop_prob
        self.dropped_column = -1
        if droppable in self.modalities:
            self.dropped_column = self.modalities.index(droppable)

    def make_branches(self, single_branch: bool) -> nn.ModuleList:
        """Make the network, as a list of one."""
        config = self.config
        sizes = (
            len(self.modalities) * config.modality_size,
            *config.branch_hidden_sizes,
            config.embedding_size,
        )
        return nn.ModuleList([make_network(config, sizes)])

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode the available modalities, as at inference; see the base class."""
        mask = self.usable(entities, columns)
        return self.concatenate(entities, mask), mask.any(1)

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch, with one modality hidden at random."""
        # Each entity once: its occurrences in a batch are alike.
        known, inverse = distinct(entities, self.n_entities)
        mask = self.availability[known]
        if self.dropped_column >= 0 and self.drop_prob:
            mask = mask.clone()
            is_hidden = torch.rand(len(known), device=mask.device) < self.drop_prob
            mask[is_hidden, self.dropped_column] = False

        encoded = self.concatenate(known, mask, self.shared(known, self.n_entities))
        return Encoded(gather_rows(encoded, inverse))

    def concatenate(self, entities: Tensor, mask: Tensor, shared: Shared | None = None) -> Tensor:
        """Encode entities from their modalities under a mask.

        Args:
            entities: int64 ``[n]``.
            mask: bool ``[n, m]``.
            shared: Weights of the entities in batch norm, where several processes share the batch.

        Returns:
            float ``[n, k]``.
        """
        if self.is_table:
            return self.look_up(entities)

        # Only entities with a modality are projected: the others have no input to read.
        blocks = []
        for column in range(len(self.modalities)):
            chosen = mask[:, column]
            block = self.project(column, entities[chosen])
            zeros = block.new_zeros(len(entities), block.shape[1])
            blocks.append(zeros.masked_scatter(chosen[:, None], block))

        return to_float32(self.branches[0](torch.cat(blocks, dim=1), shared))


class CollaborativeContentEncoder(ConcatenationEncoder):
    """Free embedding of each entity, and an encoder of its content that learns to predict it.

    Args:
        config: Configuration of the side.
        tables: The content, in order.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        replacement_prob: Share of a batch's occurrences to represent by their content.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tables: Sequence[ModalityTable],
        trained: Tensor,
        replacement_prob: float,
    ) -> None:
        super().__init__(config, tables, trained)
        self.collaborative = IdLayer(self.n_entities, config.embedding_size)
        self.replacement_prob = replacement_prob

    @property
    def contrasts(self) -> bool:
        """True: collaborative and content embeddings are matched."""
        return True

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Look up entities with training interactions, and encode the content of others."""
        content, has_any = super().encode(entities, columns)
        trained = self.trained[entities]
        # A trained entity without content has its free embedding, and needs no mean.
        embeddings = torch.where(trained[:, None], self.collaborative(entities), content)
        return embeddings, has_any | trained

    def without(self) -> Tensor:
        """Find entities with neither training interactions nor content: bool ``[n_entities]``."""
        return super().without() & ~self.trained

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch; the views to contrast are the two embeddings."""
        # Only entities with content go through the network, whose batch norm counts its rows.
        known, inverse = distinct(entities, self.n_entities)
        mask = self.availability[known]
        has_content = mask.any(1)

        shared = self.shared(known[has_content], self.n_entities)
        encoded = self.concatenate(known[has_content], mask[has_content], shared)
        zeros = encoded.new_zeros(len(known), self.embedding_size)
        all_content = zeros.masked_scatter(has_content[:, None], encoded)

        content = gather_rows(all_content, inverse)
        valid = has_content[inverse]
        # Drawn for each occurrence: an entity may have both embeddings in one batch.
        collaborative = self.collaborative(entities)
        is_chosen = torch.rand(len(entities), device=entities.device) < self.replacement_prob
        embeddings = torch.where((valid & is_chosen)[:, None], content, collaborative)
        return Encoded(
            embeddings,
            first=functional.normalize(collaborative, dim=1),
            second=functional.normalize(content, dim=1),
            valid=valid,
        )
