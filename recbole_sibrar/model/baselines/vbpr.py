"""VBPR: matrix factorisation with factors of the content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_sibrar.config import ConfigError, EncoderConfig, refuse
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.concatenation import FIXED
from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.layers.gathering import distinct, gather_rows
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import ID, INTERACTIONS, Side
from recbole_sibrar.protocols import FullConfig


class BiasedEncoder(EntityEncoder):
    """Free embeddings of the users, followed by 1, the factor of the items' biases."""

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Look up the embeddings, as at inference; see the base class."""
        embeddings, has_any = super().encode(entities, columns)
        return _with_one(embeddings), has_any

    def encode_training(self, entities: Tensor) -> Encoded:
        """Look up the embeddings of the occurrences of a batch."""
        return Encoded(_with_one(super().encode_training(entities).embeddings))


class ContentFactorEncoder(EntityEncoder):
    """Free factors, factors of the content and bias of each item, side by side.

    Args:
        config: Configuration of the items.
        tables: Their fields, then ``id``.
        trained: bool ``[n_entities]``: True for items with training interactions.
    """

    def __init__(
        self, config: EncoderConfig, tables: Sequence[ModalityTable], trained: Tensor
    ) -> None:
        # One number more than the factors: the bias.
        self.n_factors = config.embedding_size // 2
        super().__init__(replace(config, modality_size=self.n_factors + 1), tables, trained)

    def make_branches(self, single_branch: bool) -> nn.ModuleList:
        """Make no branch: the projections are factors themselves."""
        return nn.ModuleList()

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode the available modalities, as at inference; see the base class."""
        mask = self.usable(entities, columns)
        return self.add_up(entities, mask), mask.any(1)

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch, each distinct item once."""
        known, inverse = distinct(entities, self.n_entities)
        factors = self.add_up(known, self.availability[known])
        return Encoded(gather_rows(factors, inverse))

    def add_up(self, entities: Tensor, mask: Tensor) -> Tensor:
        """Compute the factors of items from their modalities under a mask.

        Args:
            entities: int64 ``[n]``.
            mask: bool ``[n, m]``.

        Returns:
            float ``[n, 2 * n_factors + 1]``: free factors, factors of the content, bias.
        """
        # Zeros stand for a missing modality: a new item has no free factors and no bias of its own.
        free = content = torch.zeros(len(entities), self.n_factors + 1, device=entities.device)
        for column, name in enumerate(self.modalities):
            chosen = mask[:, column]
            block = self.project(column, entities[chosen]).float()
            rows = torch.zeros_like(free).masked_scatter(chosen[:, None], block)
            if name == ID:
                free = rows
            else:
                content = content + rows

        bias = free[:, -1:] + content[:, -1:]
        return torch.cat([free[:, :-1], content[:, :-1], bias], dim=1)


class VBPR(MultimodalRecommender):
    r"""Visual Bayesian personalised ranking (He and McAuley, AAAI 2016), for any content.

    Half of a user's factors belong to free factors of the items, half to factors of their content:

    .. math:: \hat{x}_{ui} = \beta_i + \gamma_u^T \gamma_i + \theta_u^T (E f_i) + \beta'^T f_i

    :math:`E f_i` is the sum of a linear map of each available modality, or of the embeddings of its
    labels. A new item has :math:`\gamma_i = 0, \beta_i = 0`. Users are free embeddings.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = VBPR(data.config("VBPR"), data)
        >>> model.encode_items().shape
        torch.Size([9, 9])
    """

    fixed: ClassVar[dict[str, Any]] = {
        **FIXED,
        "modality_size": None,
        "projection_hidden_sizes": (),
        "normalize_branch_input": False,
        "branch_hidden_sizes": (),
        "batch_norm": "none",
        "dropout_prob": 0.0,
        "activation": "none",
        "output_activation": False,
    }

    def modality_names(self, tables: Mapping[str, ModalityTable]) -> tuple[str, ...]:
        """Names of the modalities of a side that the model can use: the fields and ``id``."""
        return tuple(name for name in tables if name != INTERACTIONS)

    def check(
        self,
        config: FullConfig,
        encoders: dict[Side, EncoderConfig],
        modalities: dict[Side, tuple[str, ...]],
        sources: dict[Side, str],
    ) -> None:
        """Check that the items have content, and the size of the factors; see the base class."""
        if modalities["item"] == (ID,):
            raise ConfigError(f"VBPR needs fields of the items, found none ({sources['item']})")

        size = encoders["item"].embedding_size
        if size % 2:
            allowed = "an even number: half of it for free factors, half for the content"
            refuse("embedding_size", size, allowed)

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the free embeddings of the users, or the encoder of the items."""
        trained = tables[ID].available
        if config.side == "user":
            return BiasedEncoder(replace(config, eval_modalities=None), [tables[ID]], trained)

        fields = [name for name in modalities if name != ID]
        chosen = [tables[name] for name in (*fields, ID)]
        return ContentFactorEncoder(config, chosen, trained)


def _with_one(embeddings: Tensor) -> Tensor:
    """Append a column of ones."""
    # The dot product with the last column of an item adds its bias.
    return torch.cat([embeddings, embeddings.new_ones(len(embeddings), 1)], dim=1)
