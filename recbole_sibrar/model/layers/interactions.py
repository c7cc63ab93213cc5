"""Projection of an entity's training interactions, as a sparse product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csc_matrix, csr_matrix
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.layers.cpu import second_cache
from recbole_sibrar.model.layers.tables import Table, gather_bags, make_embedding


@dataclass(frozen=True)
class Bags:
    """A bag of ids for each of ``n`` entities.

    Example:
        >>> bags = Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]))  # {0, 2} and {1}
        >>> bags.sum(torch.tensor([[1.0], [10.0], [100.0]])).flatten().tolist()
        [101.0, 10.0]
    """

    indices: Tensor
    """int ``[nnz]``, one bag after the other."""
    offsets: Tensor
    """int ``[n + 1]``: start of each bag, and end of the last."""

    COLUMNS: ClassVar[int] = 64
    """Number of columns that a CPU sums at a time for a table larger than its second cache."""

    @classmethod
    def of(cls, matrix: csr_matrix | csc_matrix) -> Bags:
        """Read the bags of the rows of a CSR matrix, or of the columns of a CSC matrix."""
        return cls(torch.from_numpy(matrix.indices), torch.from_numpy(matrix.indptr))

    def matrix(self, size: int) -> csr_matrix:
        """Make a matrix ``[n, size]`` with a one for each id of each bag; on a CPU.

        Example:
            >>> bags = Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]))
            >>> bags.matrix(3).toarray().tolist()
            [[1, 0, 1], [0, 1, 0]]
        """
        ones = np.ones(len(self.indices), dtype=np.int8)
        shape = (len(self.offsets) - 1, size)
        return csr_matrix((ones, self.indices.numpy(), self.offsets.numpy()), shape=shape)

    def narrowed(self) -> Bags:
        """Convert to int32 where that is wide enough: sums take two thirds of the time."""
        if len(self.indices) >= 1 << 31:
            return self
        return Bags(self.indices.int(), self.offsets.int())

    def sum(self, weight: Tensor) -> Tensor:
        """Sum the rows of ``weight`` in each bag, ``[n, out]``."""
        n_columns = self._columns_at_a_time(*weight.shape) if weight.device.type == "cpu" else 0
        if not n_columns:
            return self._sum(weight)

        parts = torch.split(weight, n_columns, dim=1)
        return torch.cat([self._sum(part.contiguous()) for part in parts], dim=1)

    def _columns_at_a_time(self, n_rows: int, n_columns: int) -> int:
        """Choose the number of columns to sum at a time; 0 for all."""
        # Where most rows of the columns fit the second cache, the sum takes up to a third less
        # time. Narrower columns, for larger tables, took longer than all at once.
        fitting = second_cache() // 4 // max(n_rows, 1)
        is_split = fitting < n_columns and min(2 * fitting, n_columns - 1) >= self.COLUMNS
        return self.COLUMNS if is_split else 0

    def _sum(self, weight: Tensor) -> Tensor:
        return functional.embedding_bag(
            self.indices, weight, self.offsets, mode="sum", include_last_offset=True
        )


def transpose(bags: Bags, size: int) -> Bags:
    """Make the bags of entities, ascending, for each of ``size`` ids.

    Example:
        >>> transposed = transpose(Bags(torch.tensor([1, 0, 1]), torch.tensor([0, 1, 3])), 2)
        >>> transposed.indices.tolist(), transposed.offsets.tolist()
        ([1, 0, 1], [0, 1, 3])
    """
    # A sort of the ids would take four times the memory of the bags.
    return Bags.of(bags.matrix(size).tocsc())


class _SumContext(FunctionCtx):
    """Values that the forward pass leaves to the backward pass."""

    saved_tensors: tuple[Tensor, ...]
    n_bags: int
    transposed: Bags
    chosen: csr_matrix | None


class _SumOfBags(torch.autograd.Function):
    """``bags.sum(weight)[rows]``, whose gradient is a sum of the transposed bags.

    The gradient of ``torch.nn.functional.embedding_bag`` sorts all indices in every step and takes
    20 times as long.
    """

    MOST = 3 / 4
    """Share of the ids up to which a CPU copies the bags of the rows, instead of summing all."""

    WIDE = 256
    """Number of columns from which on it also transposes the copies, for the gradient."""

    @staticmethod
    def forward(
        ctx: _SumContext, weight: Tensor, rows: Tensor, bags: Bags, transposed: Bags
    ) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.n_bags = len(bags.offsets) - 1
        ctx.transposed = transposed
        ctx.chosen = None
        # Without a gradient of its own, which torch would prepare.
        weight = weight.detach()
        if not _reads_few(bags, rows):
            return bags.sum(weight)[rows]

        chosen = bags.matrix(len(weight))[rows.numpy()]
        if weight.shape[1] >= _SumOfBags.WIDE:
            ctx.chosen = chosen
        return Bags.of(chosen).sum(weight)

    @staticmethod
    def backward(ctx: _SumContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        if ctx.chosen is not None:
            return Bags.of(ctx.chosen.tocsc()).sum(gradient), None, None, None

        (rows,) = ctx.saved_tensors
        zeros = gradient.new_zeros((ctx.n_bags, gradient.shape[1]))
        by_bag = zeros.index_add_(0, rows, gradient)
        return ctx.transposed.sum(by_bag), None, None, None


def _reads_few(bags: Bags, rows: Tensor) -> bool:
    """Tell if a CPU is faster with copies of the bags of some rows."""
    if rows.device.type != "cpu":
        return False
    n_read = int((bags.offsets[rows + 1] - bags.offsets[rows]).sum())
    return n_read < _SumOfBags.MOST * len(bags.indices)


_sum_of_bags: Callable[[Tensor, Tensor, Bags, Bags], Tensor] = _SumOfBags.apply


class InteractionsLayer(Table):
    """Linear map of the multi-hot training vector: ``[n] ids -> [n, out]`` ([A] section 3.1).

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> table = ExampleData().modality_tables("user")["interactions"]
        >>> layer = InteractionsLayer(table, 4, normalize=True)
        >>> layer, layer(torch.tensor([1, 2, 3])).shape
        (InteractionsLayer(
          interactions, size=9
          (embedding): Embedding(9, 4, padding_idx=0)
        ), torch.Size([3, 4]))

    Args:
        table: The ``interactions`` of one side.
        out: Size of the output.
        normalize: L2-normalise the multi-hot vector, that is, divide it by the root of its ones.
        dropout_prob: Share of the ones that a training step hides (denoising, Liang et al., WWW
            2018). Its gradient is slower for entities with many interactions.
    """

    hidden: Tensor | None
    """bool ``[size]``: ones that a training step hides from all entities; None for none."""

    FEW = 1 / 16
    """Share of the entities below which only their own bags are read, in the gradient too."""

    indices: Tensor
    offsets: Tensor
    transposed_indices: Tensor
    transposed_offsets: Tensor

    def __init__(
        self, table: ModalityTable, out: int, normalize: bool, dropout_prob: float = 0.0
    ) -> None:
        super().__init__(table)
        self.dropout_prob = dropout_prob
        self.hidden: Tensor | None = None
        self.normalize = normalize
        self.embedding = make_embedding(table.size, out)
        self.bias = nn.Parameter(torch.zeros(out))

        # The transposed bags are made once: their sums are the gradient of each step.
        bags = Bags(self.indices, self.offsets).narrowed()
        for prefix, held in (("", bags), ("transposed_", transpose(bags, table.size).narrowed())):
            self.register_buffer(f"{prefix}indices", held.indices, persistent=False)
            self.register_buffer(f"{prefix}offsets", held.offsets, persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Project the interactions of the entities ``rows``."""
        # All bags are summed for many entities, as that needs no copy of their indices.
        n_entities = len(self.offsets) - 1
        if self.training and (self.dropout_prob or self.hidden is not None):
            total, sizes = self._sum_some(rows)
        elif len(rows) < self.FEW * n_entities:
            total, sizes = self._sum_few(rows)
        else:
            total, sizes = self._sum_many(rows)

        if self.normalize:
            total = total * sizes.clamp(min=1).to(total.dtype).rsqrt()[:, None]
        return total + self.bias

    def _sum_few(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the bags of a few entities, ``[n, out]``; returns also their sizes ``[n]``."""
        indices, starts, sizes = gather_bags(self.indices, self.offsets, rows)
        return functional.embedding_bag(indices, self.embedding.weight, starts, mode="sum"), sizes

    def _sum_some(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the interactions left by the dropout, ``[n, out]``, and count them ``[n]``."""
        indices, starts, sizes = gather_bags(self.indices, self.offsets, rows)
        weight = self.embedding.weight
        is_kept = torch.rand(indices.shape, device=indices.device) >= self.dropout_prob
        if self.hidden is not None:
            is_kept &= ~self.hidden[indices]
        kept = is_kept.to(weight.dtype)
        total = functional.embedding_bag(
            indices, weight, starts, mode="sum", per_sample_weights=kept
        )

        # output_size spares a synchronisation with the GPU.
        positions = torch.arange(len(rows), device=rows.device)
        owners = positions.repeat_interleave(sizes, output_size=len(indices))
        n_kept = kept.new_zeros(len(rows)).index_add_(0, owners, kept)
        return total, n_kept

    def _sum_many(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the bags of many entities: sum all bags, then gather the rows of the entities."""
        bags = Bags(self.indices, self.offsets)
        transposed = Bags(self.transposed_indices, self.transposed_offsets)
        total = _sum_of_bags(self.embedding.weight, rows, bags, transposed)
        return total, self.offsets.diff()[rows]
