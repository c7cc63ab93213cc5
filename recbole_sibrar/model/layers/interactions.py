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


def deal(rows: Tensor, n: int) -> Tensor:
    """Order rows for ``n`` threads, each of which takes as many consecutive ones.

    Every n-th row from the first on, then every n-th from the second on, and so on. RecBole numbers
    items as they appear, so that the first ones have most of the interactions.

    Example:
        >>> deal(torch.arange(5), 2).tolist()
        [0, 2, 4, 1, 3]
    """
    return torch.cat([rows[start::n] for start in range(n)]) if n > 1 else rows


def collect(dealt: Tensor, n: int) -> Tensor:
    """Put the rows of :func:`deal` back in their order.

    Example:
        >>> collect(torch.tensor([0, 2, 4, 1, 3]), 2).tolist()
        [0, 1, 2, 3, 4]
    """
    if n == 1:
        return dealt

    rows = torch.empty_like(dealt)
    start = 0
    for first in range(n):
        every_nth = rows[first::n]
        every_nth.copy_(dealt[start : start + len(every_nth)])
        start += len(every_nth)
    return rows


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
    dealt: int = 1
    """Number of threads that the bags are dealt to; sums come in the order before."""

    COLUMNS: ClassVar[int] = 64
    """Number of columns that a CPU sums at a time for a table larger than its second cache."""
    MOST: ClassVar[int] = 1 << 17
    """Number of bags up to which they can be dealt."""
    UNEVEN: ClassVar[float] = 4 / 3
    """Work of the busiest thread, beside an even share, from which on they are dealt."""

    @classmethod
    def of(cls, matrix: csr_matrix | csc_matrix, dealt: int = 1) -> Bags:
        """Read the bags of the rows of a CSR matrix, or of the columns of a CSC matrix."""
        return cls(torch.from_numpy(matrix.indices), torch.from_numpy(matrix.indptr), dealt)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def matrix(self, size: int) -> csr_matrix:
        """Make a matrix ``[n, size]`` with a one for each id of each bag; on a CPU.

        Example:
            >>> bags = Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]))
            >>> bags.matrix(3).toarray().tolist()
            [[1, 0, 1], [0, 1, 0]]
        """
        ones = np.ones(len(self.indices), dtype=np.int8)
        shape = (len(self), size)
        return csr_matrix((ones, self.indices.numpy(), self.offsets.numpy()), shape=shape)

    def narrowed(self) -> Bags:
        """Convert to int32 where that is wide enough: sums take two thirds of the time."""
        if len(self.indices) >= 1 << 31:
            return self
        return Bags(self.indices.int(), self.offsets.int(), self.dealt)

    def cpu(self) -> Bags:
        """Copy to the memory of the CPU, where they are not there."""
        return Bags(self.indices.cpu(), self.offsets.cpu(), self.dealt)

    def place(self, rows: Tensor) -> Tensor:
        """Find the bags of entities.

        Example:
            >>> Bags(torch.arange(5), torch.arange(6), dealt=2).place(torch.arange(5)).tolist()
            [0, 3, 1, 4, 2]
        """
        if self.dealt == 1:
            return rows
        each, more = divmod(len(self), self.dealt)
        thread = rows % self.dealt
        before = torch.div(rows, self.dealt, rounding_mode="floor")
        return before + thread * each + thread.clamp(max=more)

    def sizes(self, rows: Tensor) -> Tensor:
        """Count the ids of entities, ``[n]``."""
        places = self.place(rows)
        return self.offsets[places + 1] - self.offsets[places]

    def in_order(self, size: int) -> Bags:
        """Return the bags in the order of the entities."""
        if self.dealt == 1:
            return self
        return Bags.of(self.matrix(size)[self.place(torch.arange(len(self))).numpy()])

    def busiest(self, n: int) -> int:
        """Count the ids of the busiest of ``n`` threads.

        Example:
            >>> Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3])).busiest(2)
            2
        """
        ends = self.offsets[:: max(-(-len(self) // n), 1)]
        return int(torch.cat([ends, self.offsets[-1:]]).diff().max())

    def balanced(self, size: int, n: int) -> Bags:
        """Deal the bags to ``n`` threads, if one of them has much more to do than the others.

        Args:
            size: Number of ids.
            n: Number of threads.
        """
        # Of large tables, sums in another order would be a second copy of theirs.
        if n == 1 or len(self) > self.MOST or self.busiest(n) * n < self.UNEVEN * len(self.indices):
            return self
        return Bags.of(self.matrix(size)[deal(torch.arange(len(self)), n).numpy()], n)

    def sum(self, weight: Tensor) -> Tensor:
        """Sum the rows of ``weight`` in each bag, ``[n, out]``."""
        n_columns = self._columns_at_a_time(*weight.shape) if weight.device.type == "cpu" else 0
        if not n_columns:
            return collect(self._sum(weight), self.dealt)

        parts = torch.split(weight, n_columns, dim=1)
        sums = torch.cat([self._sum(part.contiguous()) for part in parts], dim=1)
        return collect(sums, self.dealt)

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
    bags: Bags
    transposed: Bags


class _SumOfBags(torch.autograd.Function):
    """``bags.sum(weight)[rows]``, whose gradient is a sum of the transposed bags.

    The gradient of ``torch.nn.functional.embedding_bag`` sorts all indices in every step and takes
    20 times as long.
    """

    COPY = 40
    """Number of columns that one thread sums in the time of a copy."""

    TRANSPOSE = 100
    """Number of columns that one thread sums in the time of a copy that is transposed."""

    @staticmethod
    def forward(
        ctx: _SumContext, weight: Tensor, rows: Tensor, bags: Bags, transposed: Bags
    ) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.bags = bags
        ctx.transposed = transposed
        n_threads = torch.get_num_threads()
        # Without a gradient of its own, which torch would prepare.
        weight = weight.detach()
        if not _reads_few(bags, bags, rows, _SumOfBags.COPY / weight.shape[1]):
            return bags.sum(weight)[rows]

        places = bags.place(deal(rows, n_threads))
        chosen = bags.matrix(len(weight))[places.numpy()]
        return Bags.of(chosen, n_threads).sum(weight)

    @staticmethod
    def backward(ctx: _SumContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (rows,) = ctx.saved_tensors
        copied = _SumOfBags.TRANSPOSE / gradient.shape[1]
        if _reads_few(ctx.bags, ctx.transposed, rows, copied):
            size = len(ctx.transposed)
            chosen = ctx.bags.matrix(size)[ctx.bags.place(rows).numpy()]
            by_id = Bags.of(chosen.tocsc()).balanced(len(rows), torch.get_num_threads())
            return by_id.sum(gradient), None, None, None

        zeros = gradient.new_zeros((len(ctx.bags), gradient.shape[1]))
        by_bag = zeros.index_add_(0, rows, gradient)
        return ctx.transposed.sum(by_bag), None, None, None


def _reads_few(bags: Bags, summed: Bags, rows: Tensor, copied: float) -> bool:
    """Tell if a CPU is faster with copies of some bags.

    Args:
        bags: All bags.
        summed: Those that are summed without copies.
        rows: Entities whose bags are needed.
        copied: Time of a copied id, beside that of a summed one.
    """
    if rows.device.type != "cpu":
        return False
    # One thread makes the copies; the threads share the sums.
    n_threads = torch.get_num_threads()
    with_copies = int(bags.sizes(rows).sum()) * (1 + n_threads * copied)
    return with_copies < n_threads * summed.busiest(n_threads)


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
        transposed = transpose(bags, table.size)
        n_threads = torch.get_num_threads()
        self.dealt: dict[str, int] = {}
        for prefix, held, size in (("", bags, table.size), ("transposed_", transposed, len(bags))):
            balanced = held.balanced(size, n_threads).narrowed()
            self.dealt[prefix] = balanced.dealt
            self.register_buffer(f"{prefix}indices", balanced.indices, persistent=False)
            self.register_buffer(f"{prefix}offsets", balanced.offsets, persistent=False)

    def bags(self, prefix: str = "") -> Bags:
        """Return the bags of the entities, or the ``transposed_`` ones of the ids."""
        indices, offsets = self.get_buffer(f"{prefix}indices"), self.get_buffer(f"{prefix}offsets")
        return Bags(indices, offsets, self.dealt[prefix])

    def forward(self, rows: Tensor) -> Tensor:
        """Project the interactions of the entities ``rows``."""
        bags = self.bags()
        if self.training and (self.dropout_prob or self.hidden is not None):
            total, sizes = self._sum_some(bags, rows)
        elif len(rows) < self.FEW * len(bags):
            total, sizes = self._sum_few(bags, rows)
        else:
            # Sum all bags, or copies of those of the entities, then gather the rows.
            total = _sum_of_bags(self.embedding.weight, rows, bags, self.bags("transposed_"))
            sizes = bags.sizes(rows)

        if self.normalize:
            total = total * sizes.clamp(min=1).to(total.dtype).rsqrt()[:, None]
        return total + self.bias

    def _sum_few(self, bags: Bags, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the bags of a few entities, ``[n, out]``; returns also their sizes ``[n]``."""
        indices, starts, sizes = gather_bags(bags.indices, bags.offsets, bags.place(rows))
        return functional.embedding_bag(indices, self.embedding.weight, starts, mode="sum"), sizes

    def _sum_some(self, bags: Bags, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the interactions left by the dropout, ``[n, out]``, and count them ``[n]``."""
        indices, starts, sizes = gather_bags(bags.indices, bags.offsets, bags.place(rows))
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
