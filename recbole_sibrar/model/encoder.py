"""From the modalities of an entity to its embedding: projections, branch or branches, aggregation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import ModalityTable, with_known_labels
from recbole_sibrar.model.branches import make_branches
from recbole_sibrar.model.layers import BatchNorm, IdLayer, Projection
from recbole_sibrar.model.scaling import make_scaling
from recbole_sibrar.names import ID
from recbole_sibrar.parallel.synchronization import Ranks, Shared


@dataclass(frozen=True)
class Encoded:
    """What a training step needs of the occurrences of one side in a batch."""

    embeddings: Tensor
    """float ``[n, k]``: the aggregate of each occurrence."""
    first: Tensor | None
    """float ``[n, k]``: one view for the contrastive loss, None without that loss."""
    second: Tensor | None
    """float ``[n, k]``: the other view."""
    valid: Tensor | None
    """bool ``[n]``: whether the occurrence has two views."""


def distinct(values: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The distinct values, ascending, and the position of each value among them.

    Marks the values in a table of ``n`` where that is cheaper than the sort of ``torch.unique``.

    Args:
        values: int64 ``[b]``, each from 0 to ``n - 1``.
        n: How many different values there could be.

    Example:
        >>> distinct(torch.tensor([4, 1, 4]), 5)
        (tensor([1, 4]), tensor([1, 0, 1]))
    """
    if n > 8 * len(values):
        return torch.unique(values, return_inverse=True)
    present = torch.zeros(n, dtype=torch.bool, device=values.device)
    present[values] = True
    return present.nonzero().squeeze(1), (present.cumsum(0) - 1)[values]


def gather_rows(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]``, whose gradient adds up in the same order every time.

    On a CPU the gradient of indexing with a tensor is summed by several threads in no particular order, so that
    the same seed would not give the same numbers; that of an embedding is not, and is faster.

    Args:
        table: float ``[n, k]``.
        rows: int64 of any shape.

    Returns:
        float ``[*rows.shape, k]``.
    """
    return functional.embedding(rows, table)


def widened(embeddings: Tensor) -> Tensor:
    """Embeddings that autocast has computed in half precision, in float32; others as they are."""
    return embeddings.float() if embeddings.dtype.itemsize < 4 else embeddings


def _views(encoded: Tensor, positions: Tensor) -> list[Tensor]:
    """For each column of ``positions`` ``[n, m]`` the rows of ``encoded`` that it names, ``[n, k]``."""
    return [gather_rows(encoded, column) for column in positions.t().contiguous()]


class EntityEncoder(nn.Module):
    """Encodes users or items from their modalities ([A] section 3, [B] section 3).

    A *cell* is one modality of one entity. Whatever is asked for, each distinct cell is encoded once and its row
    is gathered for every occurrence: dropout masks are therefore shared by the occurrences of a cell in a batch, and
    batch norm weighs each distinct cell once. With neither, the result and its gradient are those of encoding
    every occurrence.

    An entity whose only modality is ``id`` needs no branch: its embedding is looked up, as in matrix factorisation.

    Args:
        config: The configuration of the side.
        tables: The modalities to train with, in order, each for the same entities. Categories and labels that no
            training entity has are left out of them.
        trained: bool ``[n_entities]``: which entities have training interactions.
        single_branch: One branch for all modalities (SiBraR), or one for each of them.
    """

    availability: Tensor
    trained: Tensor

    def __init__(
        self, config: EncoderConfig, tables: Sequence[ModalityTable], trained: Tensor, single_branch: bool = True
    ) -> None:
        super().__init__()
        tables = [with_known_labels(table, trained) for table in tables]
        self.config = config
        self.modalities = tuple(table.name for table in tables)
        self.n_entities = len(tables[0])
        self.embedding_size = config.embedding_size
        self.eval_columns = self.columns_of(config.eval_modalities or self.modalities)
        self.central = self.modalities.index(config.central_modality) if self._uses_central() else -1
        self.register_buffer("availability", torch.stack([t.available for t in tables], dim=1), persistent=False)
        self.register_buffer("trained", trained, persistent=False)
        self.stand_in: Tensor | None = None
        self.draw_counts: Tensor | None = None  # int64 [n_modalities], where someone wants to know
        self.ranks: Ranks | None = None  # where several processes train the model
        self.is_table = self.modalities == (ID,)
        if self.is_table:
            self.projections = nn.ModuleList([IdLayer(self.n_entities, config.embedding_size)])
            self.branches = nn.ModuleList()
            return
        self.projections = nn.ModuleList(
            Projection(
                table,
                config.projection_hidden_sizes,
                config.modality_size,
                config.activation,
                config.normalize_interactions,
                make_scaling(config, table, trained),
            )
            for table in tables
        )
        self.branches = self.make_branches(single_branch)

    def make_branches(self, single_branch: bool) -> nn.ModuleList:
        """One branch for all modalities, or one for each of them."""
        return make_branches(self.config, len(self.modalities), single_branch)

    def _uses_central(self) -> bool:
        return self.config.contrastive == "central" and len(self.modalities) > 1

    @property
    def contrasts(self) -> bool:
        """Whether this side has a contrastive loss: it is asked for and there are two modalities."""
        return self.config.contrastive != "none" and len(self.modalities) > 1

    def columns_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """Positions of modalities in the encoder's list.

        Raises:
            ValueError: A name is not one of them.
        """
        unknown = [name for name in names if name not in self.modalities]
        if unknown:
            raise ValueError(f"modality '{unknown[0]}' is not encoded here; allowed are {', '.join(self.modalities)}")
        return tuple(self.modalities.index(name) for name in names)

    def encode_cells(self, cells: Tensor, shared: Shared | None = None) -> Tensor:
        """Encode distinct cells.

        Args:
            cells: int64 ``[n]``, ascending; the cell of modality ``m`` of entity ``x`` is ``m * n_entities + x``.
            shared: Their weights in batch norm, where several processes share the batch.

        Returns:
            float ``[n, k]``.
        """
        modality = torch.div(cells, self.n_entities, rounding_mode="floor")
        counts = torch.bincount(modality, minlength=len(self.modalities)).tolist()
        blocks = (cells % self.n_entities).split(counts)
        if self.is_table:
            return self.projections[0](blocks[0])
        used = [m for m, count in enumerate(counts) if count or shared]  # what is shared has to be run by all processes
        if not used:
            return self.availability.new_zeros((0, self.embedding_size), dtype=torch.float32)
        projected = [self._project(m, blocks[m]) for m in used]
        if len(self.branches) == 1:
            return self.branches[0](torch.cat(projected), shared)
        parts = shared.split(counts) if shared else [None] * len(counts)
        return torch.cat([self.branches[m](block, parts[m]) for m, block in zip(used, projected, strict=True)])

    def _project(self, modality: int, entities: Tensor) -> Tensor:
        projected = self.projections[modality](entities)
        return functional.normalize(projected, dim=1) if self.config.normalize_branch_input else projected

    def aggregate(self, views: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Mean or maximum over the modalities that are there.

        Args:
            views: For each of ``m`` modalities float ``[n, k]``; rows where the mask is False can be anything finite.
            mask: bool ``[n, m]``; a row without any is aggregated to zeros.

        Returns:
            float ``[n, k]``.
        """
        if self.config.aggregation == "mean":
            weights = mask.to(views[0].dtype) / mask.sum(1, keepdim=True).clamp(min=1)
            total = views[0] * weights[:, :1]
            for column, view in enumerate(views[1:], start=1):
                total = torch.addcmul(total, view, weights[:, column, None])
            return total
        lowest = torch.finfo(views[0].dtype).min
        masked = [view.masked_fill(~mask[:, column, None], lowest) for column, view in enumerate(views)]
        return torch.stack(masked, dim=1).amax(1).masked_fill(~mask.any(1, keepdim=True), 0)

    def shared(self, ids: Tensor, n: int) -> Shared | None:
        """The weights of distinct rows in batch norm, where there is one and several processes train the model.

        Args:
            ids: int64 ``[m]``, distinct, each from 0 to ``n - 1``.
            n: How many different ids there could be.
        """
        if self.ranks is None or not any(isinstance(module, BatchNorm) for module in self.modules()):
            return None
        return self.ranks.shared(ids, n)

    def _encode(self, entities: Tensor, columns: Tensor, mask: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Encode the cells (entity, column) where the mask holds, each distinct one once.

        Args:
            entities: int64 ``[n]``.
            columns: int64 ``[n, m]`` or ``[m]``, positions of modalities.
            mask: bool ``[n, m]``.
            training: Whether this is a training step, which several processes can share.

        Returns:
            The distinct cells, float ``[c, k]``, and where each cell is among them, int64 ``[n, m]``: 0 where the mask
            is False.
        """
        n_cells = self.n_entities * len(self.modalities)
        cells, inverse = distinct((columns * self.n_entities + entities[:, None])[mask], n_cells)
        shared = self.shared(cells, n_cells) if training else None
        encoded = widened(self.encode_cells(cells, shared))
        if not len(cells):
            encoded = encoded.new_zeros((1, self.embedding_size)) + encoded.sum()  # 0, and part of the shared gradient
        positions = torch.zeros_like(mask, dtype=torch.long).masked_scatter(mask, inverse)
        return encoded, positions

    def encode(self, entities: Tensor, columns: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Encode all available modalities, as at inference.

        Args:
            entities: int64 ``[n]``.
            columns: Positions of the modalities to use; None for the evaluation's.

        Returns:
            Embeddings ``[n, k]``, and bool ``[n]``: who has any of the modalities (zeros for the others).
        """
        chosen = torch.tensor(columns or self.eval_columns, device=entities.device)
        mask = self.availability[entities][:, chosen]
        return self.aggregate(_views(*self._encode(entities, chosen, mask)), mask), mask.any(1)

    def draw(self, entities: Tensor, n: int, first: int = -1) -> tuple[Tensor, Tensor]:
        """Draw distinct available modalities uniformly, for each occurrence anew.

        Args:
            entities: int64 ``[b]``, occurrences of entities.
            n: How many modalities to draw.
            first: A modality that is always drawn first where it is available; -1 for none.

        Returns:
            Positions of the modalities ``[b, n]``, and bool ``[b, n]``: False where an entity has fewer.
        """
        available = self.availability[entities]
        priority = torch.rand(available.shape, device=entities.device)
        if first >= 0:
            priority[:, first] = 2
        drawn = priority.masked_fill(~available, -1).topk(min(n, available.shape[1]), dim=1)
        if self.draw_counts is not None:
            self.draw_counts.index_add_(0, drawn.indices.flatten(), (drawn.values >= 0).flatten().long())
        return drawn.indices, drawn.values >= 0

    def encode_training(self, entities: Tensor) -> Encoded:
        """Encode the occurrences of a batch as the configuration says training does.

        With modality sampling, an occurrence is the aggregate of one drawn modality, or of the pair that the
        contrastive loss compares. Without, it is the aggregate of all available modalities and the pair is
        drawn from those.

        Args:
            entities: int64 ``[b]``, occurrences of entities.
        """
        if self.config.modality_sampling and len(self.modalities) > 1:
            columns, mask = self.draw(entities, 2 if self.contrasts else 1, self.central)
            views = _views(*self._encode(entities, columns, mask, training=True))
            embeddings = self.aggregate(views, mask)
            if not self.contrasts:
                return Encoded(self._fill_training(embeddings, mask), None, None, None)
        else:
            known, inverse = distinct(entities, self.n_entities)
            all_columns = torch.arange(len(self.modalities), device=entities.device)
            mask = self.availability[known]
            encoded, positions = self._encode(known, all_columns, mask, training=True)
            aggregated = self.aggregate(_views(encoded, positions), mask)
            embeddings, has_any = gather_rows(aggregated, inverse), mask.any(1)[inverse, None]
            if not self.contrasts:
                return Encoded(self._fill_training(embeddings, has_any), None, None, None)
            columns, mask = self.draw(entities, 2, self.central)
            views = _views(encoded, positions[inverse].gather(1, columns))
        valid = mask.all(1)
        if self.central >= 0:
            valid = valid & (columns[:, 0] == self.central)
        return Encoded(self._fill_training(embeddings, mask), views[0], views[1], valid)

    def _fill_training(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """Give occurrences without any modality the mean of the batch's others, as a constant."""
        missing = ~mask.any(1)
        if self.ranks is None and not bool(missing.any()):
            return embeddings
        known = embeddings.detach()[~missing]
        sums = torch.cat([known.sum(0), embeddings.new_tensor([len(known)])])
        if self.ranks is not None:
            sums = self.ranks.total(sums)
        mean = sums[:-1] / sums[-1].clamp(min=1)
        return torch.where(missing[:, None], mean, embeddings)

    @torch.no_grad()
    def encode_all(self, columns: Sequence[int] | None = None, block: int = 65536) -> tuple[Tensor, Tensor]:
        """Embeddings of all entities; who has no modality gets the mean of the training entities' embeddings.

        Args:
            columns: Positions of the modalities to use; None for the evaluation's.
            block: Entities that are encoded at a time.

        Returns:
            float ``[n_entities, k]`` (the padding row is zero), and that mean ``[k]``.
        """
        ids = torch.arange(self.n_entities, device=self.availability.device)
        parts = [self.encode(part, columns) for part in ids.split(block)]
        embeddings, has_any = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        known = has_any & self.trained
        if self.stand_in is not None:
            mean = self.stand_in
        else:
            mean = embeddings[known].mean(0) if bool(known.any()) else embeddings.new_zeros(embeddings.shape[1])
        embeddings = torch.where(has_any[:, None], embeddings, mean)
        embeddings[0] = 0
        return embeddings, mean

    @contextmanager
    def hiding(self, hidden: Tensor) -> Iterator[None]:
        """Encode as if cells were missing, within a ``with`` block.

        An entity that has nothing left gets the mean of the training entities' embeddings with nothing hidden: a
        deployed model knows that mean from its training.

        Args:
            hidden: bool ``[n_entities, n_modalities]``, columns in the order of :attr:`modalities`.

        Raises:
            ValueError: ``hidden`` has another shape or type.
        """
        available, stand_in = self.availability, self.stand_in
        if hidden.shape != available.shape or hidden.dtype != torch.bool:
            raise ValueError(
                f"hidden {self.config.side} cells: found {hidden.dtype} {list(hidden.shape)}, "
                f"allowed is torch.bool {list(available.shape)}"
            )
        _, self.stand_in = self.encode_all()
        self.availability = available & ~hidden.to(available.device)
        try:
            yield
        finally:
            self.availability, self.stand_in = available, stand_in

    def without(self) -> Tensor:
        """bool ``[n_entities]``: who has none of the evaluation's modalities; False for the padding row."""
        without = ~self.availability[:, list(self.eval_columns)].any(1)
        without[0] = False
        return without

    def count_without(self) -> int:
        """Number of entities (without padding) that have none of the evaluation's modalities."""
        return int(self.without().sum())

    def extra_repr(self) -> str:
        """Side, modalities and size, for the printed model."""
        return f"{self.config.side}: {', '.join(self.modalities)} -> {self.embedding_size}"
