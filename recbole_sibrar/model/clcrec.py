"""CLCRec: contrastive learning between collaborative and content embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from recbole_sibrar.config import ConfigError, EncoderConfig, refuse
from recbole_sibrar.config.values import positive_value, probability_value
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.concatenation import WITHOUT_SAMPLING, CollaborativeContentEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import ID, INTERACTIONS, Side
from recbole_sibrar.protocols import FullConfig


class CLCRec(MultimodalRecommender):
    r"""Contrastive learning for cold-start recommendation (Wei et al., ACM MM 2021).

    Matrix factorisation whose item embeddings :math:`z_i` (for users with content likewise) are
    matched by a content encoder :math:`f`:

    .. math:: L = L_{UI} + \lambda L_{RE}, \qquad
        L_{UI} = -\ln \frac{\exp(\langle z_u, \tilde z_i \rangle / \tau)}
        {\sum_{j \in \{i\} \cup N} \exp(\langle z_u, \tilde z_j \rangle / \tau)}

    N are sampled negatives. :math:`\tilde z` is the embedding or, for a random share of the
    occurrences (``replacement_prob``), the content's. :math:`L_{RE}` is the symmetric contrastive
    loss between :math:`z_i` and :math:`f(x_i)` at unit length, told apart from those of the
    sample's other items. (The paper weighs the two losses with 1 - lambda and lambda; the authors'
    code has one direction of it, from the embedding of the positive item to the contents of its
    sample.)

    Entities with training interactions are scored with their embedding, others with their content.
    Without contrastive loss and replacement this is matrix factorisation with a softmax loss.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = CLCRec(data.config("CLCRec"), data)
        >>> model.user_encoder.modalities, model.item_encoder.modalities
        (('id',), ('text',))
        >>> recommendation, contrastive = model.calculate_loss(data.batch())
    """

    loss_types: ClassVar[tuple[str, ...]] = ("InfoNCE", "BPR", "BCE", "SSM")
    fixed: ClassVar[dict[str, Any]] = {**WITHOUT_SAMPLING, "contrastive": "pairwise"}

    def modality_names(self, tables: Mapping[str, ModalityTable]) -> tuple[str, ...]:
        """Names of the content, and ``id`` for a side that has none."""
        return tuple(name for name in tables if name != INTERACTIONS)

    def check(
        self,
        config: FullConfig,
        encoders: dict[Side, EncoderConfig],
        modalities: dict[Side, tuple[str, ...]],
        sources: dict[Side, str],
    ) -> None:
        """Check that a side has content; see the base class."""
        for side, names in modalities.items():
            if ID in names and len(names) > 1:
                allowed = "fields alone, or [id] alone; the free embedding is always there"
                refuse(f"{side}_modalities", list(names), allowed)

        # Without any content nothing is contrasted, and nothing helps new users or items.
        if set(modalities.values()) == {(ID,)}:
            found = " and ".join(sources.values())
            raise ConfigError(
                f"CLCRec needs content of the items or of the users, found none ({found})"
            )

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Read the keys of this model alone."""
        self.replacement_prob = probability_value("replacement_prob", config["replacement_prob"])
        self.score_temperature = positive_value("score_temperature", config["score_temperature"])

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the encoder of a side: free embeddings, matched by the content if there is some."""
        if tuple(modalities) == (ID,):
            return EntityEncoder(config, [tables[ID]], tables[ID].available)

        chosen = [tables[name] for name in modalities]
        trained = tables[ID].available
        return CollaborativeContentEncoder(config, chosen, trained, self.replacement_prob)

    def recommendation_loss(self, scores: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Compute the loss between users and items; see the base class."""
        if self.settings.loss_type != "InfoNCE":
            return super().recommendation_loss(scores, users, items)

        # L_UI of the class: the positive is in column 0.
        logits = scores / self.score_temperature
        return (logits.logsumexp(dim=1) - logits[:, 0]).mean()
