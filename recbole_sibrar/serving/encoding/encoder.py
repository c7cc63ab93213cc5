"""Encoder of a portable model: embeddings of users or items from fields and interactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from torch import Tensor, nn

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import (
    ModalityKind,
    ModalityTable,
    bag_table,
    dense_table,
    id_table,
)
from recbole_sibrar.model.concatenation import CollaborativeContentEncoder, ConcatenationEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import IdLayer, Projection
from recbole_sibrar.names import ID, INTERACTIONS
from recbole_sibrar.serving.bundle.manifest import SideSpec
from recbole_sibrar.serving.encoding.cells import FieldReader
from recbole_sibrar.serving.encoding.frames import Frame

__all__ = ["Batch", "Encoded", "SideEncoder", "make_encoder"]

_BLOCK = 8192
"""Number of users or items to encode at a time."""


@dataclass(frozen=True)
class Batch:
    """Users or items to encode."""

    frame: Frame
    """Their fields."""
    rows: NDArray[np.int64]
    """int64 ``[n]``: numbers of those with free embeddings from training; -1 for others."""
    bags: csr_matrix
    """Sparse ``[n, n_other]``: their interactions with the other side."""
    is_changed: NDArray[np.bool_]
    """bool ``[n]``: True where the interactions are not those of training."""

    def blocks(self, size: int = _BLOCK) -> Iterator[Batch]:
        """Divide the batch; the first block may be empty."""
        for start in range(0, max(self.frame.n, 1), size):
            part = slice(start, min(start + size, self.frame.n))
            n = part.stop - start
            columns = {name: cells.slice(start, n) for name, cells in self.frame.columns.items()}
            yield Batch(
                frame=Frame(None, columns, n),
                rows=self.rows[part],
                bags=self.bags[part],
                is_changed=self.is_changed[part],
            )


@dataclass(frozen=True)
class Encoded:
    """Embeddings of some users or items."""

    embeddings: Tensor
    """float32 ``[n, k]``."""
    has_any: Tensor
    """bool ``[n]``: False without any modality: the embedding is then the mean of training."""
    parts: Mapping[str, Tensor]
    """Modality -> embeddings of that modality alone, float32 ``[n, k]``; empty unless wanted."""
    available: Tensor
    """bool ``[n, n_modalities]``: True for the modalities that the embeddings are made of."""

    @staticmethod
    def join(blocks: Sequence[Encoded]) -> Encoded:
        """Join blocks in their order; there is at least one."""
        parts: dict[str, Tensor] = {}
        for name in blocks[0].parts:
            parts[name] = torch.cat([block.parts[name] for block in blocks])

        return Encoded(
            embeddings=torch.cat([block.embeddings for block in blocks]),
            has_any=torch.cat([block.has_any for block in blocks]),
            parts=parts,
            available=torch.cat([block.available for block in blocks]),
        )


def make_encoder(
    kind: str, config: EncoderConfig, tables: Sequence[ModalityTable]
) -> EntityEncoder:
    """Make an encoder for tables without entities.

    Args:
        kind: Kind of the encoder, as in the manifest.
        config: Its configuration.
        tables: Its modalities, each with the padding alone.
    """
    trained = torch.zeros(1, dtype=torch.bool)
    if kind == "concatenation":
        return ConcatenationEncoder(config, tables, trained)
    if kind == "collaborative":
        return CollaborativeContentEncoder(config, tables, trained, 0.0)
    return EntityEncoder(config, tables, trained, single_branch=kind == "single_branch")


class SideEncoder:
    """Encoder of one side with its weights.

    The layers read their inputs from tables. An encoding puts the tables of the new entities in
    place of those of training, so that the code of training computes the embeddings; a lock keeps
    two threads from doing so at once.

    Args:
        spec: Description of the side.
        config: Configuration of the encoder.
        readers: Field -> its reader.
        weights: State of the encoder. The rows of free embeddings are those of training, padding
            first.
        stand_in: float ``[k]``: embedding of an entity without any modality.
        n_other: Number of users (items) of training on the other side.
        preferences: Latent vectors of both sides that stand for interactions: own ``[n_trained + 1,
            r]`` and other ``[n_other + 1, r]``; None for a model that reads the interactions
            themselves.

    Raises:
        RuntimeError: The weights do not fit the configuration.
    """

    def __init__(
        self,
        spec: SideSpec,
        config: EncoderConfig,
        readers: Mapping[str, FieldReader],
        weights: Mapping[str, Tensor],
        stand_in: Tensor,
        n_other: int,
        preferences: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.spec = spec
        self.readers = readers
        self.stand_in = stand_in
        self.n_other = n_other
        self.preferences = preferences
        self._lock = Lock()

        # The sizes of the layers follow from the fields; tables of nobody are enough to make them.
        nobody = Batch(
            frame=Frame(None, {}, 0),
            rows=np.zeros(0, dtype=np.int64),
            bags=csr_matrix((0, n_other), dtype=np.float32),
            is_changed=np.zeros(0, dtype=np.bool_),
        )
        self.encoder = make_encoder(spec.encoder, config, self._tables(nobody))
        self.encoder.eval().requires_grad_(False)
        self._id_rows = self._load(weights)

    def _load(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Load the weights of the layers; return the rows of free embeddings."""
        id_names = self.encoder.entity_rows()
        id_rows: dict[str, Tensor] = {}
        shared: dict[str, Tensor] = {}
        for name, tensor in weights.items():
            target = id_rows if name in id_names else shared
            target[name] = tensor

        # Assigned, not copied, as large weights would take their memory twice. The rows of free
        # embeddings are not loaded: an encoding needs those of its entities alone.
        missing, unexpected = self.encoder.load_state_dict(shared, strict=False, assign=True)
        absent = [name for name in missing if name not in id_rows]
        faults = [*unexpected, *absent]
        if faults:
            raise RuntimeError(f"missing or unknown: {', '.join(faults)}")

        for name, tensor in id_rows.items():
            size = self.encoder.get_parameter(name).shape[1]
            _check_rows(name, tensor, self.spec.n_trained, size)
        return id_rows

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that an embedding is made of."""
        names = self.encoder.modalities
        return tuple(names[column] for column in self.encoder.eval_columns)

    @property
    def aggregation(self) -> str | None:
        """``mean`` or ``max``; None where an embedding is no aggregate of its modalities'."""
        if isinstance(self.encoder, ConcatenationEncoder):
            return None
        return self.encoder.config.aggregation

    def encode(
        self, batch: Batch, modalities: Sequence[str] | None = None, parts: bool = False
    ) -> Encoded:
        """Encode users or items.

        Args:
            batch: The users or items.
            modalities: Modalities to use; None for those of the evaluation.
            parts: Encode each modality alone as well.

        Raises:
            DataError: A cell holds no value of its field's type.
        """
        columns = None if modalities is None else self.encoder.columns_of(modalities)
        blocks = [self._encode_block(block, columns, parts) for block in batch.blocks()]
        return Encoded.join(blocks)

    @torch.no_grad()
    def _encode_block(self, batch: Batch, columns: Sequence[int] | None, parts: bool) -> Encoded:
        tables = self._tables(batch)
        entities = torch.arange(1, batch.frame.n + 1)
        # The tables are made outside of the lock: threads wait for the layers alone.
        with self._lock:
            self._put(tables, batch.rows)
            embeddings, has_any = self.encoder.encode(entities, columns)
            alone: dict[str, Tensor] = {}
            if parts:
                for column, name in enumerate(self.encoder.modalities):
                    alone[name] = self._alone(entities, column)
            usable = self.encoder.usable(entities, columns)

        filled = torch.where(has_any[:, None], embeddings, self.stand_in)
        return Encoded(filled, has_any, alone, usable)

    def _alone(self, entities: Tensor, column: int) -> Tensor:
        """Encode a single modality, ``[n, k]``."""
        # CLCRec gives trained entities their free embedding; alone, a modality is content.
        if isinstance(self.encoder, CollaborativeContentEncoder):
            return ConcatenationEncoder.encode(self.encoder, entities, [column])[0]
        return self.encoder.encode(entities, [column])[0]

    def _tables(self, batch: Batch) -> list[ModalityTable]:
        """Make the modality tables of some entities."""
        frame = batch.frame
        made: list[ModalityTable] = []
        for name in self.spec.modalities:
            if name == ID:
                made.append(id_table(_padded(batch.rows >= 0), self.spec.n_trained + 1))
            elif name == INTERACTIONS:
                made.append(self._interactions(batch))
            else:
                cells = frame.columns.get(name, pa.nulls(frame.n))
                made.append(self.readers[name].table(cells))
        return made

    def _interactions(self, batch: Batch) -> ModalityTable:
        """Make the modality of the interactions, with the padding of both sides."""
        if self.preferences is None:
            return bag_table(INTERACTIONS, ModalityKind.INTERACTIONS, _with_padding(batch.bags))

        own, other = self.preferences
        vectors = fold_in(batch.bags, other.numpy())
        # The decomposition is an approximation: folded in, a trained entity would differ a little
        # from its own vector.
        is_own = (batch.rows >= 0) & ~batch.is_changed
        vectors[is_own] = own.numpy()[batch.rows[is_own] + 1]
        padding = np.zeros((1, own.shape[1]), dtype=np.float32)
        values = torch.from_numpy(np.concatenate([padding, vectors]))
        available = _padded(np.diff(batch.bags.indptr) > 0)
        return dense_table(INTERACTIONS, ModalityKind.VECTOR, values, available, own.shape[1])

    def _put(self, tables: Sequence[ModalityTable], rows: NDArray[np.int64]) -> None:
        """Put tables into the layers in place of the earlier ones."""
        encoder = self.encoder
        encoder.n_entities = len(tables[0])
        encoder.availability = torch.stack([table.available for table in tables], dim=1)
        encoder.trained = _padded(rows >= 0)

        # -1, an entity without a free embedding, takes row 0, the padding.
        numbers = torch.from_numpy(np.concatenate([[0], rows + 1]))
        for name, weights in self._id_rows.items():
            layer = encoder.get_submodule(name.removesuffix(".embedding.weight"))
            assert isinstance(layer, IdLayer)
            layer.embedding.weight = nn.Parameter(weights[numbers].float(), requires_grad=False)

        for projection, table in zip(encoder.projections, tables, strict=True):
            layer = projection[0] if isinstance(projection, Projection) else projection
            for attribute in ("values", "rows", "indices", "offsets"):
                if hasattr(layer, attribute):
                    setattr(layer, attribute, getattr(table, attribute))


def fold_in(bags: csr_matrix, other: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Compute latent vectors from interactions, as the decomposition of training does.

    With :math:`R \approx U \Sigma V^T` and the latent vectors :math:`P = U \Sigma^{1/2}`,
    :math:`Q = V \Sigma^{1/2}` of both sides, a row :math:`r` of R has the vector
    :math:`r V \Sigma^{-1/2} = r Q \Sigma^{-1}`.

    Args:
        bags: Sparse ``[n, n_other]``.
        other: float32 ``[n_other + 1, r]``: latent vectors of the other side, padding first.

    Returns:
        float32 ``[n, r]``.
    """
    vectors = other[1:].astype(np.float64)
    # The columns of V have length 1: the squared length of a column of Q is its singular value.
    values = np.square(vectors).sum(0)
    # Beyond the rank of R the singular values, and with them the products, are 0.
    folded = (bags @ vectors) / np.where(values > 0, values, 1)
    return np.asarray(folded, dtype=np.float32)


def _padded(values: NDArray[np.bool_]) -> Tensor:
    """Put False for the padding before the values."""
    return torch.from_numpy(np.concatenate([[False], values]))


def _with_padding(bags: csr_matrix) -> csr_matrix:
    """Add an empty row and column 0."""
    n, n_other = bags.shape
    shifted = csr_matrix((bags.data, bags.indices + 1, bags.indptr), shape=(n, n_other + 1))
    return csr_matrix(vstack([csr_matrix((1, n_other + 1), dtype=bags.dtype), shifted]))


def _check_rows(name: str, tensor: Tensor, n_trained: int, size: int) -> None:
    if tuple(tensor.shape) != (n_trained + 1, size):
        raise RuntimeError(
            f"{name}: found {list(tensor.shape)}, allowed is {[n_trained + 1, size]}"
        )
