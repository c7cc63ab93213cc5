"""Projection of an entity's training interactions, as a sparse product."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.layers.bags import Bags, deal
from recbole_sibrar.model.layers.tables import Table, bag_sizes, gather_bags, make_embedding


class _SumContext(FunctionCtx):
    """Values that the forward pass leaves to the backward pass."""

    saved_tensors: tuple[Tensor, ...]
    bags: Bags
    transposed: Bags
    n_read: int


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
        ctx: _SumContext,
        weight: Tensor,
        entities: Tensor,
        places: Tensor,
        sizes: Tensor,
        bags: Bags,
        transposed: Bags,
    ) -> Tensor:
        ctx.save_for_backward(entities, places)
        ctx.bags = bags
        ctx.transposed = transposed
        # A GPU does not copy, and would have to wait for the number.
        ctx.n_read = int(sizes.sum()) if weight.device.type == "cpu" else -1
        # Without a gradient of its own, which torch would prepare.
        weight = weight.detach()
        if not _reads_few(ctx.n_read, bags, _SumOfBags.COPY / weight.shape[1]):
            return bags.sum(weight).index_select(0, entities)

        n_threads = torch.get_num_threads()
        chosen = bags.matrix[deal(places, n_threads).numpy()]
        return Bags.of(chosen, n_threads).sum(weight)

    @staticmethod
    def backward(ctx: _SumContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        entities, places = ctx.saved_tensors
        if _reads_few(ctx.n_read, ctx.transposed, _SumOfBags.TRANSPOSE / gradient.shape[1]):
            chosen = Bags.of(ctx.bags.matrix[places.numpy()].tocsc().T)
            by_id = chosen.balanced(torch.get_num_threads()).sum(gradient)
        else:
            zeros = gradient.new_zeros((len(ctx.bags), gradient.shape[1]))
            by_id = ctx.transposed.sum(zeros.index_add_(0, entities, gradient))
        return by_id, None, None, None, None, None


def _reads_few(n_read: int, bags: Bags, copied: float) -> bool:
    """Tell if a CPU is faster with copies of some bags than with sums of all.

    Args:
        n_read: Number of ids to copy; -1 on another device.
        bags: The bags that are summed without copies.
        copied: Time of a copied id, beside that of a summed one.
    """
    if n_read < 0:
        return False
    # One thread makes the copies; the threads share the sums.
    n_threads = torch.get_num_threads()
    return n_read * (1 + n_threads * copied) < n_threads * bags.busiest(n_threads)


_sum_of_bags: Callable[[Tensor, Tensor, Tensor, Tensor, Bags, Bags], Tensor] = _SumOfBags.apply


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
        bags = Bags(self.indices, self.offsets, table.size).narrowed()
        n_threads = torch.get_num_threads()
        self._held: dict[str, Bags] = {}
        for prefix, held in (("", bags), ("transposed_", bags.transposed())):
            self._held[prefix] = balanced = held.balanced(n_threads).narrowed()
            self.register_buffer(f"{prefix}indices", balanced.indices, persistent=False)
            self.register_buffer(f"{prefix}offsets", balanced.offsets, persistent=False)

    def bags(self, prefix: str = "") -> Bags:
        """Return the bags of the entities, or the ``transposed_`` ones of the ids."""
        held = self._held[prefix]
        indices: Tensor = getattr(self, f"{prefix}indices")
        if held.indices is not indices:  # on another device by now
            offsets: Tensor = getattr(self, f"{prefix}offsets")
            self._held[prefix] = held = Bags(indices, offsets, held.size, held.dealt)
        return held

    def forward(self, rows: Tensor) -> Tensor:
        """Project the interactions of the entities ``rows``."""
        bags = self.bags()
        places = bags.place(rows)
        if self.training and (self.dropout_prob or self.hidden is not None):
            total, sizes = self._sum_some(bags, places)
        elif len(rows) < self.FEW * len(bags):
            total, sizes = self._sum_few(bags, places)
        else:
            # Sum all bags, or copies of those of the entities, then gather the rows.
            sizes = bag_sizes(bags.offsets, places)
            transposed = self.bags("transposed_")
            weight = self.embedding.weight
            total = _sum_of_bags(weight, rows, places, sizes, bags, transposed)

        if self.normalize:
            total = total * sizes.clamp(min=1).to(total.dtype).rsqrt()[:, None]
        return total + self.bias

    def _sum_few(self, bags: Bags, places: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the bags of a few entities, ``[n, out]``; returns also their sizes ``[n]``."""
        indices, starts, sizes = gather_bags(bags.indices, bags.offsets, places)
        return functional.embedding_bag(indices, self.embedding.weight, starts, mode="sum"), sizes

    def _sum_some(self, bags: Bags, places: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the interactions left by the dropout, ``[n, out]``, and count them ``[n]``."""
        indices, starts, sizes = gather_bags(bags.indices, bags.offsets, places)
        weight = self.embedding.weight
        is_kept = torch.rand(indices.shape, device=indices.device) >= self.dropout_prob
        if self.hidden is not None:
            is_kept &= ~self.hidden[indices]
        kept = is_kept.to(weight.dtype)
        total = functional.embedding_bag(
            indices, weight, starts, mode="sum", per_sample_weights=kept
        )

        # output_size spares a synchronisation with the GPU.
        positions = torch.arange(len(places), device=places.device)
        owners = positions.repeat_interleave(sizes, output_size=len(indices))
        n_kept = kept.new_zeros(len(places)).index_add_(0, owners, kept)
        return total, n_kept
