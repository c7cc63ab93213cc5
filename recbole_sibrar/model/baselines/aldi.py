"""ALDI: the content of new items is taught by a latent model of the known ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from recbole.data.interaction import Interaction
from torch import Tensor
from torch.nn import functional

from recbole_sibrar.config import ConfigError, EncoderConfig
from recbole_sibrar.config.values import positive_value, weight_value
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.concatenation import ConcatenationEncoder
from recbole_sibrar.model.dropoutnet import DropoutNet
from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.layers.gathering import distinct, gather_rows
from recbole_sibrar.names import ID, INTERACTIONS, Side
from recbole_sibrar.protocols import FullConfig


class StudentEncoder(ConcatenationEncoder):
    """Student of one side: content of the items, or preference vectors of the users.

    An embedding has two halves, the teacher's vector and the student's. A known item has only the
    first, a new one only the second, and a user has both: the dot product is that of the teacher
    for known items, of the student for others.

    Args:
        config: Configuration of the side.
        tables: Inputs of the student.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        teacher: Preference vectors of the side, float ``[n_entities, rank]``, scaled.
    """

    teacher: Tensor

    def __init__(
        self,
        config: EncoderConfig,
        tables: Sequence[ModalityTable],
        trained: Tensor,
        teacher: Tensor,
    ) -> None:
        super().__init__(config, tables, trained)
        self.register_buffer("teacher", teacher, persistent=False)

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return both halves, as at inference; see the base class."""
        student, has_any = super().encode(entities, columns)
        teacher = self.teacher[entities]
        if self.config.side == "user":
            return torch.cat([teacher, student], dim=1), has_any

        # Zeros in one half of an item leave the other half of the user alone in the score.
        trained = self.trained[entities]
        halves = [teacher * trained[:, None], student * ~trained[:, None]]
        return torch.cat(halves, dim=1), has_any | trained

    def without(self) -> Tensor:
        """Find entities with neither training interactions nor inputs: bool ``[n_entities]``."""
        return super().without() & ~self.trained

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch by the student; the view is the teacher's."""
        known, inverse = distinct(entities, self.n_entities)
        shared = self.shared(known, self.n_entities)
        student = self.concatenate(known, self.availability[known], shared)
        return Encoded(gather_rows(student, inverse), first=self.teacher[entities])


class ALDI(DropoutNet):
    r"""Aligning distillation (Huang et al., SIGIR 2023).

    The teacher is a latent model :math:`U V^T` of the training interactions, here the truncated
    singular value decomposition with scores multiplied by ``teacher_scale`` (the paper's is matrix
    factorisation by BPR). The student scores a user by :math:`f(U_u)` and an item by its content,
    :math:`s_{ui} = f(U_u)^T g(\Phi_i)`. With :math:`t` for the teacher's scores, :math:`\sigma` for
    the logistic function and H for the binary cross-entropy:

    .. math::
        L = L_{rec} + \alpha w_i H(s_{ui} - s_{uj}, \sigma(t_{ui} - t_{uj}))
        + \beta w_i H(d^s_i, \sigma(d^t_i)) + \gamma (|s_{ui} - t_{ui}| + |s_{uj} - t_{uj}|)

    :math:`L_{rec}` is the student's own ranking loss (``loss_type``). :math:`d_i` is the dot
    product of the item with itself minus the mean of those with the negatives of the batch, for the
    vectors of student and teacher. :math:`w_i = \tanh(\min(s \cdot n_i, c))` with
    ``frequency_scale`` s and ``frequency_cap`` c trusts the teacher by the number of interactions.
    Known items are scored by the teacher, new ones by the student.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = ALDI(data.config("ALDI", preference_size=3), data)
        >>> model.encode_items().shape
        torch.Size([9, 11])
    """

    loss_types = ("BPR", "BCE", "SSM")
    popularity: Tensor

    def check(
        self,
        config: FullConfig,
        encoders: dict[Side, EncoderConfig],
        modalities: dict[Side, tuple[str, ...]],
        sources: dict[Side, str],
    ) -> None:
        """Check that the items have content; see the base class."""
        if not _fields(modalities["item"]):
            raise ConfigError(f"ALDI needs fields of the items, found none ({sources['item']})")

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Make the teacher, and read the keys of this model."""
        # Counted before the interactions give way to the preference vectors.
        offsets = tables["item"][INTERACTIONS].offsets
        assert offsets is not None
        self.register_buffer("popularity", offsets.diff().float(), persistent=False)
        self.add_preferences(config, tables)

        self.teacher_scale = positive_value("teacher_scale", config["teacher_scale"])
        self.frequency_scale = positive_value("frequency_scale", config["frequency_scale"])
        self.frequency_cap = positive_value("frequency_cap", config["frequency_cap"])
        names = ("ranking_weight", "identification_weight", "rating_weight")
        self.alignment = {name: weight_value(name, config[name]) for name in names}

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the student of a side."""
        names = [INTERACTIONS] if config.side == "user" else _fields(modalities)
        chosen: list[ModalityTable] = [tables[name] for name in names]
        teacher = tables[INTERACTIONS].values
        assert teacher is not None
        # The root on both sides scales the scores by the whole.
        scaled = teacher * self.teacher_scale**0.5
        return StudentEncoder(config, chosen, tables[ID].available, scaled)

    def restore_preferences(self, side: Side) -> None:
        """Give teacher and student of a side the vectors of a loaded checkpoint."""
        super().restore_preferences(side)
        vectors = self.get_buffer(f"{side}_preferences")
        self.encoder_of(side).get_buffer("teacher").copy_(vectors * self.teacher_scale**0.5)

    def calculate_loss(self, interaction: Interaction) -> Tensor:
        """Compute the loss of a batch: ranking of the student, and alignment with the teacher."""
        users, items = self._batch(interaction)
        user = self.user_encoder.encode_training(users)
        item = self.item_encoder.encode_training(items.flatten())
        assert user.first is not None
        assert item.first is not None

        # In training the encoders give the student's half, and the teacher's as a view.
        students = item.embeddings.view(*items.shape, -1)  # [batch, 1 + n, k]
        teachers = item.first.view(*items.shape, -1)
        student = torch.einsum("bnk,bk->bn", students, user.embeddings)
        teacher = torch.einsum("bnk,bk->bn", teachers, user.first)
        # The cap is that of the authors' code.
        frequencies = self.frequency_scale * self.popularity[items[:, 0]]
        weights = torch.tanh(frequencies.clamp(max=self.frequency_cap))

        margins = student[:, :1] - student[:, 1:]
        taught = teacher[:, :1] - teacher[:, 1:]
        own = self.recommendation_loss(student, users, items)
        ranking = (weights[:, None] * _cross_entropy(margins, taught)).mean()
        distinctions = _cross_entropy(_distinction(students), _distinction(teachers))
        identification = (weights * distinctions).mean()
        rating = (student - teacher).abs()
        ratings = rating[:, 0].mean() + rating[:, 1:].mean()

        alignment = self.alignment
        return (
            own
            + alignment["ranking_weight"] * ranking
            + alignment["identification_weight"] * identification
            + alignment["rating_weight"] * ratings
        )


def _fields(modalities: Sequence[str]) -> list[str]:
    """Names of the fields among modalities."""
    return [name for name in modalities if name not in (INTERACTIONS, ID)]


def _cross_entropy(logits: Tensor, taught: Tensor) -> Tensor:
    """Binary cross-entropy of logits with the teacher's probabilities."""
    return functional.binary_cross_entropy_with_logits(logits, taught.sigmoid(), reduction="none")


def _distinction(vectors: Tensor) -> Tensor:
    """Dot product of each positive with itself, minus its mean with the negatives, ``[b]``.

    Args:
        vectors: ``[b, 1 + n, k]``.
    """
    # Of the whole batch: the mean of the products is the product with the mean.
    positive = vectors[:, 0]
    mean_negative = vectors[:, 1:].mean((0, 1))
    return positive.square().sum(1) - positive @ mean_negative
