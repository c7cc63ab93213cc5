"""Base of the models with a closed form on training interactions and content."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import Tensor

from recbole_sibrar.config import ConfigError, nearest, read_key, refuse
from recbole_sibrar.config.encoder import has_key
from recbole_sibrar.config.values import ByField, WeightByField, modalities_value
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, TrainingData
from recbole_sibrar.model.baselines.factors import interaction_matrix
from recbole_sibrar.model.baselines.features import ContentBlock, content_blocks
from recbole_sibrar.model.baselines.regression import ContentKernel, ContentRegression
from recbole_sibrar.model.incomplete import incomplete_tables
from recbole_sibrar.names import ID, INTERACTIONS, RESERVED_NAMES, SIDES, Side
from recbole_sibrar.protocols import FullConfig

_FIELD_TYPES = {
    ModalityKind.CATEGORICAL: "token",
    ModalityKind.MULTI_LABEL: "token_seq",
    ModalityKind.SCALAR: "float",
    ModalityKind.VECTOR: "float_seq",
}
"""Kind of a modality -> type of its field."""


class ContentBaseline(GeneralRecommender):
    """Model with a closed form on the training interactions and the content of users and items.

    Nothing is learnt by gradient descent, and a checkpoint holds no weights: a loaded model is
    computed anew from the training part.

    Args:
        config: RecBole's ``Config``.
        dataset: Training part of a :class:`~recbole_sibrar.data.dataset.MultimodalDataset`.

    Raises:
        ConfigError: A key has a value that is not allowed, or there is no content.
    """

    input_type = InputType.POINTWISE
    type = ModelType.TRADITIONAL

    kinds: ClassVar[tuple[ModalityKind, ...]] = tuple(_FIELD_TYPES)
    """Kinds of modalities that the model reads."""
    content_sides: ClassVar[tuple[Side, ...]] = SIDES
    """Sides with content that the model reads; one of them needs some."""

    def __init__(self, config: FullConfig, dataset: TrainingData) -> None:
        super().__init__(config, dataset)
        tables = incomplete_tables(config, dataset, type(self).__name__)
        # RecBole builds an optimiser for every model, and PyTorch none without a parameter.
        self.placeholder = torch.nn.Parameter(torch.zeros(1))
        self.seed: int = config["seed"]

        self.interactions = interaction_matrix(tables["user"][INTERACTIONS], self.n_items)
        self.trained: dict[Side, NDArray[np.bool_]] = {}
        self.blocks: dict[Side, list[ContentBlock]] = {}
        for side in SIDES:
            self.trained[side] = tables[side][ID].available.numpy()
            self.blocks[side] = self._read_content(config, dataset, side, tables[side])
        # A misspelt field would otherwise be weighed or scaled like no other, without a word.
        self.weights = self._read_weights(config, tables)
        self._check_content(dataset)
        self._check_scaling(config, tables)

        self.fit(config, dataset)

    def _read_content(
        self,
        config: FullConfig,
        dataset: TrainingData,
        side: Side,
        tables: Mapping[str, ModalityTable],
    ) -> list[ContentBlock]:
        """Make the content of a side."""
        if side not in self.content_sides:
            return []

        allowed: list[str] = []
        for name, table in tables.items():
            if name not in RESERVED_NAMES and table.kind in self.kinds:
                allowed.append(name)

        key = _key_of(config, side, "modalities")
        chosen = modalities_value(key, config[key])
        for name in chosen or ():
            if name not in allowed:
                types = ", ".join(_FIELD_TYPES[kind] for kind in self.kinds)
                listed = ", ".join(allowed) or f"none in {dataset.describe_source(side)}"
                refuse(key, name, f"fields of type {types}: {listed}{nearest(name, allowed)}")

        # A model without vectors has no such key.
        scaling = ByField("none")
        if ModalityKind.VECTOR in self.kinds:
            scaling = read_key(config, _key_of(config, side, "normalize_vectors"))
        return content_blocks(tables, chosen or allowed, tables[ID].available, scaling)

    def _check_content(self, dataset: TrainingData) -> None:
        """Refuse data without content, and warn of content without weights."""
        names: list[str] = []
        for side in self.content_sides:
            names += [block.name for block in self.blocks[side]]
        if not names:
            sources = " and ".join(dataset.describe_source(side) for side in self.content_sides)
            types = ", ".join(_FIELD_TYPES[kind] for kind in self.kinds)
            raise ConfigError(
                f"{type(self).__name__} needs fields of type {types}, found none ({sources})"
            )

        if not any(self.weights.fields.values()):
            fields = "every field has" if len(names) > 1 else f"the only field, {names[0]}, has"
            self.logger.warning(
                f"modality_weights: {fields} the weight 0, so that all new items have equal "
                "content."
            )

    def _read_weights(
        self, config: FullConfig, tables: Mapping[Side, Mapping[str, ModalityTable]]
    ) -> WeightByField:
        """Read the weight of each field: its own, that of its type, or that of all."""
        given: WeightByField = read_key(config, "modality_weights")
        # A weight may be given for all fields of a type, so that a search can range over it.
        types: dict[str, str] = {}
        for side in self.content_sides:
            for block in self.blocks[side]:
                types[block.name] = _FIELD_TYPES[tables[side][block.name].kind]

        allowed = [*types, *_FIELD_TYPES.values()]
        for name in given.fields:
            if name not in allowed:
                listed = f"{', '.join(types)}, or a type: {', '.join(_FIELD_TYPES.values())}"
                refuse("modality_weights", name, f"any of {listed}{nearest(name, allowed)}")

        # The weight of a type is given under its name, as that of a field.
        weights = {name: given.fields.get(name, given.of(kind)) for name, kind in types.items()}
        return WeightByField(given.default, weights)

    def _check_scaling(
        self, config: FullConfig, tables: Mapping[Side, Mapping[str, ModalityTable]]
    ) -> None:
        """Refuse the scaling of unknown vectors."""
        if ModalityKind.VECTOR not in self.kinds:
            return

        of_users = _vectors(tables["user"])
        of_items = _vectors(tables["item"])
        for side in self.content_sides:
            key = _key_of(config, side, "normalize_vectors")
            allowed = of_users if side == "user" else of_items
            # A key without prefix may name vectors of either side.
            if key == "normalize_vectors":
                allowed = [*of_users, *of_items]

            for name in dict(read_key(config, key).fields):
                if name not in allowed:
                    listed = ", ".join(allowed) or "none in these data"
                    hint = nearest(name, allowed)
                    refuse(key, name, f"a field of type float_seq: {listed}{hint}")

    @abstractmethod
    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Compute the model.

        Args:
            config: RecBole's ``Config``.
            dataset: Training part of the data.
        """

    @abstractmethod
    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users, ``[len(users), n_items]``."""

    def kernel(self, side: Side, form: str = "linear") -> ContentKernel:
        """Make the kernel of the content of a side."""
        blocks = tuple(self.blocks[side])
        weights = tuple(self.weights.of(block.name) for block in blocks)
        if form == "exponential":
            return ContentKernel(blocks, weights, "exponential")
        return ContentKernel(blocks, weights)

    def known(self, side: Side) -> NDArray[np.int64]:
        """Return the entities with training interactions, ascending."""
        return np.flatnonzero(self.trained[side])

    def new(self, side: Side) -> NDArray[np.int64]:
        """Return the entities without training interactions, ascending, without padding."""
        # Entity 0, the padding, is the first of them.
        return np.flatnonzero(~self.trained[side])[1:]

    def carry(
        self,
        side: Side,
        values: NDArray[np.floating[Any]],
        form: str,
        ridge_weight: float,
        n_landmarks: int | None,
    ) -> NDArray[np.float32]:
        """Complete values of the known entities by predictions for the new ones.

        Args:
            side: Side of the values.
            values: ``[n_known, c]``.
            form: Form of the kernel.
            ridge_weight: Penalty of the regression.
            n_landmarks: Number of landmarks; None for the exact solution.

        Returns:
            float32 ``[n_entities, c]``; zeros for the padding entity.
        """
        complete = np.zeros((len(self.trained[side]), values.shape[1]), dtype=np.float32)
        complete[self.known(side)] = values

        new = self.new(side)
        if len(new):
            regression = self.regression(side, form, ridge_weight, n_landmarks)
            complete[new] = regression.fit(values).predict(new)
        return complete

    def regression(
        self, side: Side, form: str, ridge_weight: float, n_landmarks: int | None
    ) -> ContentRegression:
        """Make the regression from the content of a side, with the keys of :meth:`carry`."""
        return ContentRegression(
            self.kernel(side, form), self.known(side), ridge_weight, n_landmarks, self.seed
        )

    def calculate_loss(self, interaction: Interaction) -> Tensor:
        """Return a loss of 0, as nothing is left to learn."""
        # With a gradient, which RecBole's trainer asks for.
        return self.placeholder.sum()

    def predict(self, interaction: Interaction) -> Tensor:
        """Score user-item pairs, ``[n]``."""
        # A user repeats for each candidate of a sampled evaluation, and is scored once.
        users, rows = np.unique(interaction[self.USER_ID].cpu().numpy(), return_inverse=True)
        items = interaction[self.ITEM_ID].cpu().numpy()
        return self._tensor(self.score(users)[rows, items])

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Score all items for each user, ``[n_users * n_items]``; -inf for the padding item."""
        scores = self._tensor(self.score(interaction[self.USER_ID].cpu().numpy()))
        scores[:, 0] = -torch.inf
        return scores.flatten()

    def _tensor(self, scores: NDArray[np.floating[Any]]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(scores, dtype=np.float32)).to(self.device)


def _vectors(tables: Mapping[str, ModalityTable]) -> list[str]:
    """Names of the vectors among modalities."""
    return [name for name, table in tables.items() if table.kind is ModalityKind.VECTOR]


def _key_of(config: FullConfig, side: Side, name: str) -> str:
    """Return the key of a side: the one with its prefix if it is set, else the one for both."""
    return f"{side}_{name}" if has_key(config, side, name) else name
