"""Projection of a modality to the size of the branch's input."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.model.layers.basic import MLP, make_activation
from recbole_sibrar.model.layers.interactions import InteractionsLayer
from recbole_sibrar.model.layers.kernel import KernelLayer
from recbole_sibrar.model.layers.tables import BagLayer, CategoryLayer, DenseLayer, IdLayer

_ACTIVATED = (ModalityKind.INTERACTIONS, ModalityKind.SCALAR, ModalityKind.VECTOR)
"""Kinds with an activation after the projection in the published code of [A]."""


class Projection(nn.Sequential):
    """Projection p_m of one modality to the size of the branch's input ([A] section 3.1).

    The first layer depends on the kind of the modality; further layers are linear with the
    activation between.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> table = ExampleData().modality_tables("item")["text"]
        >>> projection = Projection(table, hidden_sizes=[6], out=4)
        >>> [type(layer).__name__ for layer in projection]
        ['DenseLayer', 'ReLU', 'MLP']

    Args:
        table: The modality.
        hidden_sizes: Sizes of the layers before the last.
        out: ``modality_size``.
        activation: Activation between the layers.
        normalize_interactions: L2-normalise the multi-hot vectors of ``interactions``.
        scaling: Scales numbers and vectors before the first layer; None leaves them as they are.
        last_activation: Activation after the last layer for vectors, numbers and interactions. The
            published code of [A] has it; embeddings of categories and tags have none there.
        interaction_dropout_prob: Share of the ``interactions`` that a training step hides.
        landmarks: int64 ``[m]``: entities whose vectors the values are compared with; None for the
            vector itself.
        labels_by_root: Divide sums of labels by the root of their number, not by the number.
    """

    def __init__(
        self,
        table: ModalityTable,
        hidden_sizes: Sequence[int],
        out: int,
        activation: str = "relu",
        normalize_interactions: bool = True,
        scaling: nn.Module | None = None,
        last_activation: str = "none",
        interaction_dropout_prob: float = 0.0,
        landmarks: Tensor | None = None,
        labels_by_root: bool = False,
    ) -> None:
        # The first layer reads the table itself: no batch holds a row of values.
        sizes = [*hidden_sizes, out]
        layers: list[nn.Module] = []
        if table.kind is ModalityKind.INTERACTIONS:
            dropout_prob = interaction_dropout_prob
            layers.append(InteractionsLayer(table, sizes[0], normalize_interactions, dropout_prob))
        else:
            layers.append(_first_layer(table, sizes[0], scaling, landmarks, labels_by_root))
        if hidden_sizes:
            layers += [make_activation(activation), MLP(sizes, activation=activation)]
        # Embeddings of categories and labels have none in the published code of [A].
        if last_activation != "none" and table.kind in _ACTIVATED:
            layers.append(make_activation(last_activation))
        super().__init__(*layers)


def _first_layer(
    table: ModalityTable,
    out: int,
    scaling: nn.Module | None,
    landmarks: Tensor | None,
    labels_by_root: bool,
) -> nn.Module:
    if table.kind is ModalityKind.ID:
        return IdLayer(len(table), out)
    if table.kind is ModalityKind.CATEGORICAL:
        return CategoryLayer(table, out)
    if table.kind is ModalityKind.MULTI_LABEL:
        return BagLayer(table, out, labels_by_root)
    if landmarks is not None:
        return KernelLayer(table, out, landmarks, scaling)
    return DenseLayer(table, out, scaling)
