"""Encoder of users or items: projections of their modalities, branches, aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, with_known_labels
from recbole_sibrar.model.branches import aggregate, gather_aggregate, gather_views, make_branches
from recbole_sibrar.model.hiding import fill_missing, mean_of_rows
from recbole_sibrar.model.layers import BatchNorm, IdLayer, Projection, make_scaling, to_float32
from recbole_sibrar.model.layers.gathering import distinct, gather_rows, split_evenly
from recbole_sibrar.model.layers.precision import set_precision
from recbole_sibrar.model.layers.unit_length import unit_length
from recbole_sibrar.model.sampling import ModalitySampler, keep_any_number
from recbole_sibrar.names import ID
from recbole_sibrar.parallel.synchronization import Ranks, Shared


@dataclass(frozen=True)
class Encoded:
    """Embeddings of one side's occurrences in a training batch."""

    embeddings: Tensor
    """float ``[n, k]``: aggregate of each occurrence."""
    first: Tensor | None = None
    """float ``[n, k]``: one view for the contrastive loss, None without that loss."""
    second: Tensor | None = None
    """float ``[n, k]``: the other view."""
    valid: Tensor | None = None
    """bool ``[n]``: True for occurrences with two views."""


class EntityEncoder(nn.Module):
    """Encoder of users or items from their modalities ([A] section 3, [B] section 3).

    A *cell* is one modality of one entity. Each distinct cell of a batch is encoded once, and its
    row is gathered for every occurrence. The occurrences of a cell therefore share dropout masks,
    and batch norm counts each distinct cell once. Without dropout and batch norm, embeddings and
    gradients equal those of separately encoded occurrences.

    An entity whose only modality is ``id`` needs no branch: its embedding is looked up, as in
    matrix factorisation.

    Args:
        config: Configuration of the side.
        tables: Modalities to train with, in order, each for the same entities. Categories and
            labels without a training entity are left out of them.
        trained: bool ``[n_entities]``: True for entities with training interactions.
        single_branch: One branch for all modalities (SiBraR), or one for each of them.
    """

    availability: Tensor
    trained: Tensor

    def __init__(
        self,
        config: EncoderConfig,
        tables: Sequence[ModalityTable],
        trained: Tensor,
        single_branch: bool = True,
    ) -> None:
        super().__init__()
        # Embeddings of labels that no training entity has would stay as they were initialised.
        tables = [with_known_labels(table, trained) for table in tables]
        self.config = config
        self.modalities = tuple(table.name for table in tables)
        self.n_entities = len(tables[0])
        self.embedding_size = config.embedding_size
        self.eval_columns = self.columns_of(config.eval_modalities or self.modalities)
        self.central = -1
        if config.contrastive == "central" and len(tables) > 1:
            self.central = self.modalities.index(config.central_modality)

        # Data, not parameters: a checkpoint is loaded on top of the data set in use.
        availability = torch.stack([table.available for table in tables], dim=1)
        self.register_buffer("availability", availability, persistent=False)
        self.register_buffer("trained", trained, persistent=False)

        self.sampler = ModalitySampler()
        self.stand_in: Tensor | None = None
        """float ``[k]``: embedding of entities without any modality; None for the current mean."""
        self.ranks: Ranks | None = None
        """Processes that train the model together; None for a single one."""

        self.is_table = self.modalities == (ID,)
        if self.is_table:
            self.projections = nn.ModuleList([IdLayer(self.n_entities, config.embedding_size)])
            self.branches = nn.ModuleList()
        else:
            # In this order: projections and branches draw their initial weights.
            projections = [self._make_projection(table, trained) for table in tables]
            self.projections = nn.ModuleList(projections)
            self.branches = self.make_branches(single_branch)
        set_precision(self, config.matmul_precision)

    def _make_projection(self, table: ModalityTable, trained: Tensor) -> Projection:
        return Projection(
            table,
            self.config.projection_hidden_sizes,
            self.config.modality_size,
            self.config.activation,
            self.config.normalize_interactions,
            make_scaling(self.config, table, trained),
            self.config.projection_activation,
            self.config.interaction_dropout_prob,
            self._landmarks(table, trained),
            self.config.label_pooling == "root",
        )

    def _landmarks(self, table: ModalityTable, trained: Tensor) -> Tensor | None:
        """Find the entities that a projection compares its values with; None without a kernel."""
        is_number = table.kind in (ModalityKind.VECTOR, ModalityKind.SCALAR)
        if not is_number or self.config.projection_kernel.of(table.name) == "none":
            return None
        return (table.available & trained).nonzero().flatten()

    def make_branches(self, single_branch: bool) -> nn.ModuleList:
        """Make one branch for all modalities, or one for each of them."""
        return make_branches(self.config, len(self.modalities), single_branch)

    @property
    def eval_modalities(self) -> tuple[str, ...]:
        """Modalities that entities are scored by."""
        return tuple(self.modalities[column] for column in self.eval_columns)

    @property
    def contrasts(self) -> bool:
        """True with a contrastive loss on this side, which needs two modalities at least."""
        return self.config.contrastive != "none" and len(self.modalities) > 1

    def columns_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of modalities in the encoder's list.

        Raises:
            ValueError: A name is not one of them.
        """
        columns: list[int] = []
        for name in names:
            if name not in self.modalities:
                allowed = ", ".join(self.modalities)
                raise ValueError(f"modality '{name}' is not encoded here; allowed are {allowed}")
            columns.append(self.modalities.index(name))
        return tuple(columns)

    def encode_cells(self, cells: Tensor, shared: Shared | None = None) -> Tensor:
        """Encode distinct cells: g(p_m(v)) of each ([A] section 3.1).

        Args:
            cells: int64 ``[n]``, ascending; the cell of modality ``m`` of entity ``x`` is ``m *
                n_entities + x``.
            shared: Weights of the cells in batch norm, where several processes share the batch.

        Returns:
            float ``[n, k]``.
        """
        # Ascending cells stand modality by modality: their entities are split, not gathered.
        modality = torch.div(cells, self.n_entities, rounding_mode="floor")
        counts: list[int] = torch.bincount(modality, minlength=len(self.modalities)).tolist()
        blocks = torch.split(cells % self.n_entities, counts)
        if self.is_table:
            return self.look_up(blocks[0])

        # Batch norm over several processes waits for all of them, also for those without a row.
        used = [m for m, count in enumerate(counts) if count or shared]
        if not used:
            return self.availability.new_zeros((0, self.embedding_size), dtype=torch.float32)

        projected = [self.project(m, blocks[m]) for m in used]
        if len(self.branches) == 1:
            # Together: the batch norm of a shared branch counts the cells of all modalities.
            outputs = [self.branches[0](torch.cat(projected), shared)]
        else:
            parts = shared.split(counts) if shared else [None] * len(counts)
            pairs = zip(used, projected, strict=True)
            outputs = [self.branches[m](block, parts[m]) for m, block in pairs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def look_up(self, entities: Tensor) -> Tensor:
        """Look up the free embeddings of entities, ``[n, k]``, on a side with ``id`` alone."""
        embeddings: Tensor = self.projections[0](entities)
        return embeddings

    def project(self, modality: int, entities: Tensor) -> Tensor:
        """Project one modality of entities to the branch's input, ``[n, d]``."""
        projected: Tensor = self.projections[modality](entities)
        return unit_length(projected) if self.config.normalize_branch_input else projected

    def shared(self, ids: Tensor, n: int) -> Shared | None:
        """Weights of distinct rows in batch norm; None without it, or with a single process.

        Args:
            ids: int64 ``[m]``, distinct, each from 0 to ``n - 1``.
            n: Number of possible ids.
        """
        if self.ranks is None:
            return None
        has_batch_norm = any(isinstance(module, BatchNorm) for module in self.modules())
        return self.ranks.shared(ids, n) if has_batch_norm else None

    def encode_distinct(
        self, entities: Tensor, columns: Tensor, mask: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Encode the cells (entity, column) under the mask, each distinct one once.

        Args:
            entities: int64 ``[n]``.
            columns: int64 ``[n, m]`` or ``[m]``, positions of modalities.
            mask: bool ``[n, m]``.
            training: True for a training step, which several processes can share.

        Returns:
            The distinct cells, float ``[c, k]``, and the position of each cell among them, int64
            ``[n, m]``: 0 where the mask is False.
        """
        # One number a cell: a batch repeats entities, and each cell is encoded once.
        n_cells = self.n_entities * len(self.modalities)
        all_cells = columns * self.n_entities + entities[:, None]  # [n, m]
        cells, inverse = distinct(all_cells.masked_select(mask), n_cells)

        shared = self.shared(cells, n_cells) if training else None
        encoded = to_float32(self.encode_cells(cells, shared))
        if not len(cells):
            # One row of zeros to point at; the sum keeps this process in a shared batch's gradient.
            encoded = encoded.new_zeros((1, self.embedding_size)) + encoded.sum()

        positions = torch.zeros_like(mask, dtype=torch.long).masked_scatter(mask, inverse)
        return encoded, positions

    def encode(
        self, entities: Tensor, columns: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode all available modalities, as at inference.

        Args:
            entities: int64 ``[n]``.
            columns: Positions of the modalities to use; None for the evaluation's.

        Returns:
            Embeddings ``[n, k]``, zeros for entities without any of the modalities, and bool
            ``[n]``: False for those.
        """
        chosen = torch.tensor(columns or self.eval_columns, device=entities.device)
        mask = self.availability[entities][:, chosen]  # [n, m]
        encoded, positions = self.encode_distinct(entities, chosen, mask)
        views = gather_views(encoded, positions)
        return aggregate(views, mask, self.config.aggregation), mask.any(1)

    def usable(self, entities: Tensor, columns: Sequence[int] | None = None) -> Tensor:
        """Mark the available modalities among those in use.

        Args:
            entities: int64 ``[n]``.
            columns: Positions of the modalities to use; None for the evaluation's.

        Returns:
            bool ``[n, m]`` for all m modalities.
        """
        used = torch.zeros(len(self.modalities), dtype=torch.bool, device=entities.device)
        used[list(columns or self.eval_columns)] = True
        return self.availability[entities] & used

    def draw(self, entities: Tensor, n: int, first: int = -1) -> tuple[Tensor, Tensor]:
        """Draw modalities of the occurrences ``[b]``; see :meth:`ModalitySampler.draw`."""
        available = self.availability.index_select(0, entities)
        return self.sampler.draw(available, n, first)

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch for a training step.

        With modality sampling, an occurrence is the aggregate of one drawn modality, or of the
        drawn pair for the contrastive loss. Without, it is the aggregate of all available
        modalities, and the pair is drawn from those.

        Args:
            entities: int64 ``[b]``, occurrences of entities.
        """
        # Embeddings of known entities alone need neither distinct cells nor a stand-in.
        if self.is_table and self.ranks is None and bool(self.availability[entities].all()):
            table = self.get_parameter("projections.0.embedding.weight")
            return Encoded(gather_rows(table, entities))
        if self.config.modality_sampling and len(self.modalities) > 1:
            return self._encode_drawn(entities)
        return self._encode_available(entities)

    def _encode_drawn(self, entities: Tensor) -> Encoded:
        """Encode drawn modalities of each occurrence ([A] section 3.2), or of each entity."""
        fewest = 2 if self.contrasts else 1
        draws_any = self.config.drawn_modalities == "any"
        owners = entities
        inverse: Tensor | None = None
        if self.config.drawn_per == "entity":
            owners, inverse = distinct(entities, self.n_entities)

        n_drawn = len(self.modalities) if draws_any else fewest
        columns, mask = self.draw(owners, n_drawn, self.central)
        used = keep_any_number(mask) if draws_any else mask
        if inverse is not None:
            columns, mask, used = columns[inverse], mask[inverse], used[inverse]

        # The loss needs the pair also where the aggregate is of one modality.
        encoded = mask
        if draws_any:
            pair = torch.arange(fewest, device=used.device)
            encoded = used.index_fill(1, pair, True) & mask
        # Cells outside of the aggregate and of the pair are not encoded at all.
        cells = self.encode_distinct(entities, columns, encoded, training=True)
        aggregated, views = gather_aggregate(*cells, used, self.config.aggregation)
        embeddings = fill_missing(aggregated, used.any(1), self.ranks)
        if not self.contrasts:
            return Encoded(embeddings)
        return self._with_pair(embeddings, views[:2], columns[:, :2], mask[:, :2])

    def _encode_available(self, entities: Tensor) -> Encoded:
        """Encode all available modalities of each occurrence, each distinct entity once."""
        known, inverse = distinct(entities, self.n_entities)
        all_columns = torch.arange(len(self.modalities), device=entities.device)
        available = self.availability[known]
        encoded, positions = self.encode_distinct(known, all_columns, available, training=True)

        aggregated = aggregate(gather_views(encoded, positions), available, self.config.aggregation)
        embeddings = gather_rows(aggregated, inverse)
        has_any = available.any(1)[inverse]
        if not self.contrasts:
            return Encoded(fill_missing(embeddings, has_any, self.ranks))

        # The pair is drawn from cells that the aggregate has encoded already.
        columns, mask = self.draw(entities, 2, self.central)
        views = gather_views(encoded, positions[inverse].gather(1, columns))
        embeddings = fill_missing(embeddings, mask.any(1), self.ranks)
        return self._with_pair(embeddings, views, columns, mask)

    def _with_pair(
        self, embeddings: Tensor, views: Sequence[Tensor], columns: Tensor, mask: Tensor
    ) -> Encoded:
        """Add the pair of views; it is valid where both were drawn, the central one first."""
        valid = mask.all(1)
        if self.central >= 0:
            valid = valid & (columns[:, 0] == self.central)
        return Encoded(embeddings, views[0], views[1], valid)

    @torch.no_grad()
    def encode_all(self, columns: Sequence[int] | None = None, block: int = 0) -> Tensor:
        """Encode all entities; those without any modality get the mean of the training entities.

        Args:
            columns: Positions of the modalities to use; None for the evaluation's.
            block: Number of entities to encode at a time; 0 for the device's choice.

        Returns:
            float ``[n_entities, k]``; the padding row is zero.
        """
        embeddings, has_any = self._encode_blocks(columns, block)
        has_any[0] = True
        if not bool(has_any.all()):  # else no mean, which takes a copy of the embeddings
            embeddings[~has_any] = self._mean(embeddings, has_any)
        embeddings[0] = 0
        return embeddings

    @torch.no_grad()
    def encode_mean(self, block: int = 0) -> Tensor:
        """Compute the embedding ``[k]`` of entities without any modality."""
        return self._mean(*self._encode_blocks(None, block))

    def _encode_blocks(self, columns: Sequence[int] | None, block: int) -> tuple[Tensor, Tensor]:
        """Encode block by block: the views of all entities at once may not fit the memory."""
        ids = torch.arange(self.n_entities, device=self.availability.device)
        has_any = torch.empty_like(ids, dtype=torch.bool)
        embeddings = torch.empty(0, device=ids.device)
        for part in split_evenly(ids, block):
            encoded, has_any[part] = self.encode(part, columns)
            if not len(embeddings):
                embeddings = encoded.new_empty((len(ids), encoded.shape[1]))
            embeddings[part] = encoded
        return embeddings, has_any

    def _mean(self, embeddings: Tensor, has_any: Tensor) -> Tensor:
        mean = self.stand_in
        return mean_of_rows(embeddings, has_any & self.trained) if mean is None else mean

    def without(self) -> Tensor:
        """Find entities without any of the evaluation's modalities: bool ``[n_entities]``."""
        without = ~self.availability[:, list(self.eval_columns)].any(1)
        without[0] = False
        return without

    def entity_rows(self) -> list[str]:
        """Names of the parameters with a row for each entity."""
        tables = [name for name, layer in self.named_modules() if isinstance(layer, IdLayer)]
        return [f"{name}.embedding.weight" for name in tables]

    def extra_repr(self) -> str:
        """Side, modalities and size, for the printed model."""
        return f"{self.config.side}: {', '.join(self.modalities)} -> {self.embedding_size}"
