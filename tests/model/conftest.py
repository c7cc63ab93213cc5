"""A small world with modality tables made by hand, and the same computations written in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from scipy.sparse import csr_matrix

from recbole_sibrar.data.modality import (
    ModalityKind,
    ModalityTable,
    bag_table,
    dense_table,
    id_table,
)
from recbole_sibrar.model.sibrar import SiBraR

SETTINGS: dict[str, Any] = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "NEG_PREFIX": "neg_",
    "device": torch.device("cpu"),
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 3},
    "embedding_size": 5,
    "loss_type": "BPR",
    "modalities": "auto",
    "modality_size": 6,
    "projection_hidden_sizes": [],
    "normalize_interactions": True,
    "normalize_branch_input": True,
    "branch_hidden_sizes": [7],
    "batch_norm": "none",
    "dropout_prob": 0.0,
    "activation": "relu",
    "output_activation": False,
    "aggregation": "mean",
    "modality_sampling": True,
    "contrastive": "pairwise",
    "contrastive_scope": "sample",
    "contrastive_weight": 0.3,
    "temperature": 0.5,
}


class World:
    """Users 1 to 6 and items 1 to 8 with known interactions and features; stands in for the training data set."""

    user_num, item_num = 7, 9
    n_negative_candidates = 8
    # user 6, items 7 and 8 are cold
    pairs = (
        (1, 1),
        (1, 2),
        (2, 2),
        (2, 3),
        (3, 1),
        (3, 4),
        (4, 5),
        (5, 6),
        (5, 1),
    )

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.matrix = np.zeros((self.user_num, self.item_num))
        for user, item in self.pairs:
            self.matrix[user, item] = 1
        self.vectors = rng.normal(size=(self.item_num, 4)).astype(np.float32)
        self.labels = [[], [1, 2], [2], [3, 1], [], [2], [1], [1, 3], []]
        self.groups = np.array([0, 1, 2, 1, 1, 2, 2, 0, 0])
        # item 8 has nothing at all
        self.has_vector = np.array([0, 1, 1, 0, 1, 1, 1, 1, 0], dtype=bool)
        self.prices = np.array(
            [[0], [0.1], [0.2], [0.3], [0], [0.5], [0.6], [0], [0]], dtype=np.float32
        )
        self.has_price = self.prices[:, 0] > 0
        self.ages = np.array([0, 1, 2, 1, 0, 2, 0])

    def num(self, field: str) -> int:
        return {"user_id": self.user_num, "item_id": self.item_num}[field]

    def describe_source(self, side: str) -> str:
        return f"fields of tiny.{side}"

    def modality_tables(self, side: str) -> dict[str, ModalityTable]:
        matrix = self.matrix if side == "user" else self.matrix.T
        tables = [bag_table("interactions", ModalityKind.INTERACTIONS, csr_matrix(matrix))]
        if side == "user":
            ages = torch.from_numpy(self.ages)
            tables.append(dense_table("age", ModalityKind.CATEGORICAL, ages, ages > 0, 3))
        else:
            groups = torch.from_numpy(self.groups)
            tables.append(dense_table("group", ModalityKind.CATEGORICAL, groups, groups > 0, 3))
            bags = np.zeros((self.item_num, 4))
            for item, labels in enumerate(self.labels):
                bags[item, labels] = 1
            tables.append(bag_table("labels", ModalityKind.MULTI_LABEL, csr_matrix(bags)))
            has_price, has_vector = (
                torch.from_numpy(self.has_price),
                torch.from_numpy(self.has_vector),
            )
            tables.append(
                dense_table(
                    "price", ModalityKind.SCALAR, torch.from_numpy(self.prices), has_price, 1
                )
            )
            tables.append(
                dense_table(
                    "text", ModalityKind.VECTOR, torch.from_numpy(self.vectors), has_vector, 4
                )
            )
        tables.append(id_table(torch.from_numpy(matrix.sum(1) > 0)))
        return {table.name: table for table in tables}


class Settings(dict[str, Any]):
    """Answers None for a key that is not set, as RecBole's ``Config`` does."""

    def __missing__(self, key: str) -> None:
        return None


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(world: World) -> Callable[..., Any]:
    """Builds a model of ours on the small world: ``make(loss_type="BCE")``, ``make(MuBraR, batch_norm="last")``."""

    def build(model: type[Any] = SiBraR, **overrides: Any) -> Any:
        torch.manual_seed(0)
        shared = {key: value for key, value in SETTINGS.items() if key not in model.fixed}
        return model(Settings({**shared, "model": model.__name__, **overrides}), world)

    return build


@pytest.fixture
def batch() -> Interaction:
    """Three positives with three negatives each, laid out as RecBole does: blocks of the same positives."""
    negatives = [[3, 4, 8], [1, 6, 7], [2, 3, 5]]
    return Interaction(
        {
            "user_id": torch.tensor([1, 2, 5] * 3),
            "item_id": torch.tensor([1, 2, 6] * 3),
            "neg_item_id": torch.tensor([negatives[row][j] for j in range(3) for row in range(3)]),
        }
    )


class Reference:
    """The encoder of one side in NumPy, cell by cell, with dense inputs and the parameters of a model."""

    def __init__(self, world: World, model: SiBraR, side: str) -> None:
        self.world, self.side = world, side
        self.encoder = model.user_encoder if side == "user" else model.item_encoder
        parameters = {
            name: value.detach().double().numpy() for name, value in self.encoder.named_parameters()
        }
        self.parameters = parameters
        self.config = self.encoder.config
        stored = getattr(model, f"{side}_preferences", None)
        self.preferences = None if stored is None else stored.double().numpy()

    def input(self, modality: str, entity: int) -> np.ndarray | None:
        """The raw value as a dense vector, None where it is missing."""
        world = self.world
        if modality == "interactions" and self.preferences is not None:
            return self.preferences[entity] if self.preferences[entity].any() else None
        if modality in ("interactions", "id"):
            row = world.matrix[entity] if self.side == "user" else world.matrix[:, entity]
            if not row.any():
                return None
            if modality == "id":
                return np.eye(len(self.encoder.availability))[entity]
            return row / np.linalg.norm(row) if self.config.normalize_interactions else row
        if modality in ("age", "group"):
            category = (world.ages if modality == "age" else world.groups)[entity]
            return np.eye(3)[category] if category else None
        if modality == "labels":
            return np.eye(4)[world.labels[entity]].mean(0) if world.labels[entity] else None
        if modality == "price":
            return world.prices[entity].astype(float) if world.has_price[entity] else None
        return world.vectors[entity].astype(float) if world.has_vector[entity] else None

    def projected(self, modality: str, entity: int) -> np.ndarray | None:
        """Input of the branch from one modality of one entity."""
        value = self.input(modality, entity)
        if value is None:
            return None
        m = self.encoder.modalities.index(modality)
        p = self.parameters
        if f"projections.{m}.0.linear.weight" in p:
            x = p[f"projections.{m}.0.linear.weight"] @ value + p[f"projections.{m}.0.linear.bias"]
        else:
            x = value @ p[f"projections.{m}.0.embedding.weight"] + p.get(
                f"projections.{m}.0.bias", 0
            )
        if self.config.normalize_branch_input:
            x = x / np.linalg.norm(x)
        return x

    def branch(self, x: np.ndarray) -> np.ndarray:
        """The first branch, of two layers with ReLU between."""
        p = self.parameters
        x = np.maximum(p["branches.0.0.weight"] @ x + p["branches.0.0.bias"], 0)
        return p["branches.0.2.weight"] @ x + p["branches.0.2.bias"]

    def cell(self, modality: str, entity: int) -> np.ndarray | None:
        """Embedding of one modality of one entity."""
        x = self.projected(modality, entity)
        return None if x is None else self.branch(x)

    def concatenated(self, entity: int, modalities: Sequence[str] | None = None) -> np.ndarray:
        """The branch on the projections of all modalities side by side, zeros for those missing or not asked for."""
        asked = self.encoder.modalities if modalities is None else modalities
        blocks = [
            self.projected(name, entity) if name in asked else None
            for name in self.encoder.modalities
        ]
        zeros = np.zeros(self.config.modality_size)
        return self.branch(np.concatenate([zeros if block is None else block for block in blocks]))

    def entity(self, entity: int, modalities: tuple[str, ...] | None = None) -> np.ndarray | None:
        """Aggregate of the available ones of some modalities."""
        cells = [self.cell(name, entity) for name in modalities or self.encoder.modalities]
        found = [cell for cell in cells if cell is not None]
        if not found:
            return None
        how = {"mean": np.mean, "sum": np.sum, "max": np.max}[self.config.aggregation]
        return how(found, axis=0)


@pytest.fixture
def reference(world: World) -> Callable[[SiBraR, str], Reference]:
    """Builds the NumPy counterpart of one side of a model: ``reference(model, "item")``."""
    return lambda model, side: Reference(world, model, side)
