"""Heater: preferences or experts on the content, told to be similar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.config.values import size_value, weight_value
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.branches import make_network
from recbole_sibrar.model.concatenation import ConcatenationEncoder
from recbole_sibrar.model.dropoutnet import DropoutNet
from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.layers import DenseLayer
from recbole_sibrar.model.layers.gathering import distinct, gather_rows
from recbole_sibrar.names import ID, INTERACTIONS, Side
from recbole_sibrar.parallel.synchronization import Shared
from recbole_sibrar.protocols import FullConfig

if TYPE_CHECKING:
    from torch.nn import ModuleList


class Experts(nn.Module):
    r"""Mixture of experts: ``[n, size] -> [n, out]``.

    .. math:: \tanh(\sum_e \tanh(g_e(x)) \tanh(W_e x + b_e))

    Example:
        >>> Experts(size=5, out=3, n_experts=2)(torch.zeros(4, 5)).shape
        torch.Size([4, 3])

    Args:
        size: Size of the input.
        out: Size of the output.
        n_experts: Number of experts.
    """

    def __init__(self, size: int, out: int, n_experts: int) -> None:
        super().__init__()
        self.gate = nn.Linear(size, n_experts)
        self.experts = nn.Linear(size, n_experts * out)
        self.shape = (n_experts, out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Mix the experts."""
        gates = torch.tanh(self.gate(inputs))
        experts = torch.tanh(self.experts(inputs)).view(len(inputs), *self.shape)  # [n, e, out]
        return torch.tanh((gates[:, None] @ experts).squeeze(1))


class HeaterEncoder(ConcatenationEncoder):
    """Encoder of the preference vector, or in its place of the mixture of experts on the content.

    Args:
        config: Configuration of the side.
        tables: Modalities, with the preference vectors as ``interactions``.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        drop_prob: Share of a batch's distinct entities with the content in place of the
            preferences.
        n_experts: Number of experts.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tables: Sequence[ModalityTable],
        trained: Tensor,
        drop_prob: float,
        n_experts: int,
    ) -> None:
        # Before the base class, which calls make_branches.
        self.rank = next(table.size for table in tables if table.name == INTERACTIONS)
        self.n_experts = n_experts
        super().__init__(config, tables, trained, INTERACTIONS, drop_prob)
        # Preferences are inputs as they are: no projection of theirs is trained.
        self.preferences.linear = nn.Identity()  # type: ignore[assignment]

    @property
    def preferences(self) -> DenseLayer:
        """Preference vectors of all entities."""
        layer: DenseLayer = self.projections[self.modalities.index(INTERACTIONS)][0]  # type: ignore[index]
        return layer

    def make_branches(self, single_branch: bool) -> ModuleList:
        """Make the output network, and the experts of a side with content."""
        config = self.config
        sizes = (self.rank, *config.branch_hidden_sizes, config.embedding_size)
        branches: list[nn.Module] = [make_network(config, sizes)]
        n_content = len(self.modalities) - 1
        if n_content:
            size = n_content * config.modality_size
            branches.append(Experts(size, self.rank, self.n_experts))
        return nn.ModuleList(branches)

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch; the views are the content and the preferences."""
        known, inverse = distinct(entities, self.n_entities)
        available = self.availability[known]
        mask = available.clone()
        is_hidden = torch.rand(len(known), device=mask.device) < self.drop_prob
        column = self.dropped_column
        # Without content nothing can stand in for the preferences.
        has_content = (available.sum(1) - available[:, column].long()) > 0
        mask[is_hidden & has_content, column] = False

        encoded = self.concatenate(known, mask, self.shared(known, self.n_entities))
        valid = has_content & available[:, column]
        return Encoded(
            gather_rows(encoded, inverse),
            first=self.content(known, available),
            second=self.preferences.inputs(known),
            valid=valid,
        )

    def content(self, entities: Tensor, mask: Tensor) -> Tensor:
        """Mix the experts on the available content, ``[n, rank]``; zeros without any."""
        if len(self.branches) == 1:
            return torch.zeros(len(entities), self.rank, device=entities.device)

        blocks = []
        for column in range(len(self.modalities)):
            if column == self.dropped_column:
                continue
            chosen = mask[:, column]
            block = self.project(column, entities[chosen]).float()
            zeros = block.new_zeros(len(entities), block.shape[1])
            blocks.append(zeros.masked_scatter(chosen[:, None], block))
        mixed: Tensor = self.branches[1](torch.cat(blocks, dim=1))
        return mixed

    def concatenate(self, entities: Tensor, mask: Tensor, shared: Shared | None = None) -> Tensor:
        """Encode the preferences under a mask, or the content where they are hidden or missing."""
        # Without interactions, at inference too, the content takes the place of the preferences.
        has_preferences = mask[:, [self.dropped_column]]
        content = self.content(entities, mask)
        inputs = torch.where(has_preferences, self.preferences.inputs(entities), content)
        encoded: Tensor = self.branches[0](inputs, shared)
        return encoded


class Heater(DropoutNet):
    r"""Heater (Zhu et al., SIGIR 2020).

    As in DropoutNet, a latent model gives preference vectors, here the truncated singular value
    decomposition (the paper's is BPR). A mixture of experts maps the content :math:`\Phi` into
    their space, and training replaces the preferences of a random share of the entities by it
    (randomised training). A network on the result has to reproduce the scores of the latent model,
    and the content has to be similar to the preferences:

    .. math:: L = \sum (U_u^T V_i - f_u(z_u)^T f_v(z_i))^2
        + \alpha \sum \lVert h(\Phi_i) - V_i \rVert^2

    with :math:`z_i = V_i` or :math:`h(\Phi_i)`, for users likewise.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = Heater(data.config("Heater", preference_size=3), data)
        >>> len(model.calculate_loss(data.batch()))
        3
    """

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Replace the interactions by vectors of the latent model, and read the model's keys."""
        super().prepare(config, tables)
        self.similarity_weight = weight_value("similarity_weight", config["similarity_weight"])
        self.n_experts = size_value("n_experts", config["n_experts"])

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the network of a side; the preferences are always among its inputs."""
        fields = [name for name in modalities if name not in (INTERACTIONS, ID)]
        chosen = [tables[name] for name in (INTERACTIONS, *fields)]
        return HeaterEncoder(config, chosen, tables[ID].available, self.drop_prob, self.n_experts)

    def _contrastive_loss(
        self, encoder: EntityEncoder, encoded: Encoded, entities: Tensor, n: int | None = None
    ) -> Tensor | None:
        """Weighted squared distance of content and preferences of one side."""
        first, second, valid = encoded.first, encoded.second, encoded.valid
        assert first is not None
        assert second is not None
        assert valid is not None
        # Entities with both alone: the mean of none is 0.
        distances = (first - second).square().sum(1) * valid
        return self.similarity_weight * distances.sum() / valid.sum().clamp(min=1)
