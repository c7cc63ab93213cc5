"""TwoTower: a network per side on the id and the content, with the id hidden at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.config.values import probability_value
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.concatenation import FIXED, ConcatenationEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import ID, INTERACTIONS, Side
from recbole_sibrar.protocols import FullConfig


class TwoTower(MultimodalRecommender):
    r"""Two-tower retrieval model (Yi et al., RecSys 2019) with dropout of ids.

    Each side has a network on its concatenated inputs: a free embedding of the entity and the
    projections of its fields. The score is the dot product of the towers:

    .. math:: \hat{x}_{ui} = \langle f(e_u, p(v_u)), g(e_i, p(v_i)) \rangle

    Training hides the free embedding of a random share of the entities, as DropoutNet hides
    preferences (Volkovs et al., NeurIPS 2017). The tower so learns to do with the content, and a
    new entity has nothing else. A side without fields is a table of free embeddings.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = TwoTower(data.config("TwoTower"), data)
        >>> model.user_encoder.modalities, model.item_encoder.modalities
        (('id',), ('text', 'id'))
        >>> model.calculate_loss(data.batch()).ndim
        0
    """

    fixed: ClassVar[dict[str, Any]] = FIXED

    def modality_names(self, tables: Mapping[str, ModalityTable]) -> tuple[str, ...]:
        """Names of the modalities of a side that the model can use: the fields and ``id``."""
        return tuple(name for name in tables if name != INTERACTIONS)

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Read the key of this model alone."""
        self.drop_prob = probability_value("id_dropout_prob", config["id_dropout_prob"])

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the tower of a side; ``id`` is always among its inputs."""
        # The id last, wherever the configuration has it: the order decides the initial weights.
        fields = [name for name in modalities if name != ID]
        chosen = [tables[name] for name in (*fields, ID)]
        trained = tables[ID].available
        return ConcatenationEncoder(config, chosen, trained, ID, self.drop_prob)
