"""DropoutNet: content replaces preferences, hidden at random in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from recbole_sibrar.config import EncoderConfig, refuse
from recbole_sibrar.config.values import is_given, probability_value, size_value
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, dense_table
from recbole_sibrar.model.baselines.factors import interaction_matrix, latent_factors
from recbole_sibrar.model.concatenation import FIXED, ConcatenationEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import ID, INTERACTIONS, SIDES, Side
from recbole_sibrar.protocols import FullConfig


class DropoutNet(MultimodalRecommender):
    r"""DropoutNet (Volkovs et al., NeurIPS 2017).

    A latent model gives each user and item with training interactions a preference vector, here the
    truncated singular value decomposition :math:`R \approx U V^T` of the training matrix (the paper
    uses weighted matrix factorisation; any latent model serves). A network per side embeds the
    preference vector together with the content features, and the dot products have to reproduce
    those of the latent model:

    .. math:: L = \sum_{u, i} (U_u^T V_i - f_u(U_u, \Phi_u)^T f_v(V_i, \Phi_i))^2

    over positives and sampled negatives. Training zeroes the preferences of a random share of the
    users and of the items, so that the content alone has to do. At inference they are zero without
    interactions. With nothing dropped the latent model is a minimum of the loss. ``loss_type`` BPR,
    BCE or SSM trains the same network to rank instead, as comparisons of it with other networks do.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = DropoutNet(data.config("DropoutNet", preference_size=3), data)
        >>> model.item_preferences.shape
        torch.Size([9, 3])
        >>> model.calculate_loss(data.batch()).ndim
        0
    """

    loss_types: ClassVar[tuple[str, ...]] = ("MSE", "BPR", "BCE", "SSM")
    fixed: ClassVar[dict[str, Any]] = FIXED
    user_preferences: Tensor
    item_preferences: Tensor

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Replace the interactions by the vectors of the latent model."""
        key = "preference_dropout_prob"
        self.drop_prob = probability_value(key, config[key])
        self.add_preferences(config, tables)

    def add_preferences(
        self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]
    ) -> None:
        """Compute the latent model, and put its vectors in the place of the interactions.

        Args:
            config: RecBole's ``Config``.
            tables: Modalities of each side; changed in place.
        """
        matrix = interaction_matrix(tables["user"][INTERACTIONS], len(tables["item"][INTERACTIONS]))
        rank = self._rank(config, min(matrix.shape) - 1)

        factors = latent_factors(matrix, rank, config["seed"])
        for side, vectors in zip(SIDES, factors, strict=True):
            available = tables[side][INTERACTIONS].available
            values = torch.from_numpy(vectors)
            table = dense_table(INTERACTIONS, ModalityKind.VECTOR, values, available, rank)
            # In the state of the model, so that a checkpoint keeps the target of its training.
            self.register_buffer(f"{side}_preferences", table.values)
            tables[side][INTERACTIONS] = table
        self.register_load_state_dict_post_hook(_restore_inputs)

    def _rank(self, config: FullConfig, largest: int) -> int:
        """Rank of the decomposition; the default is lowered for few users or items."""
        rank = size_value("preference_size", config["preference_size"])
        if rank <= largest:
            return rank

        if is_given(config, "preference_size"):
            allowed = f"at most {largest}, the smaller of the numbers of users and items"
            refuse("preference_size", rank, allowed)
        self.logger.info(
            f"preference_size: {largest}, as there are too few users or items for the default "
            f"{rank}"
        )
        return largest

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make a network on the preferences and the content of a side."""
        chosen = [tables[name] for name in modalities]
        trained = tables[ID].available
        return ConcatenationEncoder(config, chosen, trained, INTERACTIONS, self.drop_prob)

    def entity_rows(self, side: Side) -> list[str]:
        """Names of the parameters and buffers with a row for each entity; see the base class."""
        return [*super().entity_rows(side), f"{side}_preferences"]

    def restore_preferences(self, side: Side) -> None:
        """Give the network of a side the preference vectors of a loaded checkpoint."""
        encoder = self.encoder_of(side)
        if INTERACTIONS in encoder.modalities:
            column = encoder.modalities.index(INTERACTIONS)
            inputs = encoder.get_buffer(f"projections.{column}.0.values")
            inputs.copy_(getattr(self, f"{side}_preferences"))

    def recommendation_loss(self, scores: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Compute the squared error against the latent model, or a ranking loss."""
        if self.settings.loss_type != "MSE":
            return super().recommendation_loss(scores, users, items)

        of_users = self.user_preferences[users]  # [b, k]
        of_items = self.item_preferences[items]  # [b, 1 + n, k]
        target = torch.einsum("bk,bnk->bn", of_users, of_items)
        return torch.nn.functional.mse_loss(scores, target)


def _restore_inputs(model: DropoutNet, keys: object) -> None:
    """Give the networks the latent vectors of the checkpoint."""
    # A decomposition made anew may differ, in its signs at least.
    for side in SIDES:
        model.restore_preferences(side)
