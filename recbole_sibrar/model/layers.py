"""Projections of each kind of modality, and the MLP that is a branch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.parallel.synchronization import Shared, batch_norm


def make_activation(name: str) -> nn.Module:
    """An activation by RecBole's name for it (``relu``, ``leakyrelu``, ``tanh``, ``sigmoid``, ``none``)."""
    classes: dict[str, type[nn.Module]] = {
        "relu": nn.ReLU,
        "leakyrelu": nn.LeakyReLU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "none": nn.Identity,
    }
    return classes[name]()


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that uses its running statistics for a single row, which has no variance of its own."""

    def forward(self, input: Tensor, shared: Shared | None = None) -> Tensor:
        """Normalise ``[n, size]``, in training over the rows of all processes where the batch is ``shared``."""
        if self.training and shared is not None:
            return batch_norm(self, input, shared)
        if self.training and len(input) < 2:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class MLP(nn.Sequential):
    """Linear layers with input dropout and batch norm before the activation.

    Args:
        sizes: Size of the input and of each layer.
        dropout_prob: Share of the input that is dropped in training.
        activation: Activation after every layer but the last.
        output_activation: Whether the last layer has the activation too.
        batch_norm: ``none``, ``last``, or n for after every n-th layer.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        dropout_prob: float = 0.0,
        activation: str = "relu",
        output_activation: bool = False,
        batch_norm: str | int = "none",
    ) -> None:
        layers: list[nn.Module] = [nn.Dropout(dropout_prob)] if dropout_prob else []
        n_layers = len(sizes) - 1
        for i in range(1, n_layers + 1):
            layers.append(nn.Linear(sizes[i - 1], sizes[i]))
            if (batch_norm == "last" and i == n_layers) or (isinstance(batch_norm, int) and i % batch_norm == 0):
                layers.append(BatchNorm(sizes[i]))
            if i < n_layers or output_activation:
                layers.append(make_activation(activation))
        super().__init__(*layers)

    def forward(self, input: Tensor, shared: Shared | None = None) -> Tensor:
        """Map ``[n, sizes[0]]`` to ``[n, sizes[-1]]``.

        Args:
            input: The rows.
            shared: Their weights in batch norm, where several processes share the batch.
        """
        for layer in self:
            input = layer(input, shared) if isinstance(layer, BatchNorm) else layer(input)
        return input


def gather_bags(indices: Tensor, offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The bags of some entities, out of the bags of all.

    Args:
        indices: int ``[nnz]``, the bags of all entities one after the other.
        offsets: int ``[n_entities + 1]``, of the same type, where each bag starts.
        rows: int64 ``[n]``, the entities.

    Returns:
        The chosen indices ``[m]``, where each of the ``n`` bags starts ``[n]``, and their sizes ``[n]``.
    """
    sizes = offsets[rows + 1] - offsets[rows]
    ends = sizes.cumsum(0)
    starts = ends - sizes
    total = int(ends[-1]) if len(ends) else 0
    within = torch.arange(total, device=rows.device) - starts.repeat_interleave(sizes, output_size=total)
    chosen = indices[offsets[rows].repeat_interleave(sizes, output_size=total) + within]
    return chosen, starts.to(indices.dtype), sizes


class _Table(nn.Module):
    """What the first layers of all projections share: the modality's values as buffers.

    The values are data, not parameters: they are not in the ``state_dict``, and a checkpoint is loaded on top
    of the data set that it is used with.
    """

    def __init__(self, table: ModalityTable) -> None:
        super().__init__()
        self.kind = table.kind.value
        self.size = table.size
        for name in ("values", "rows", "indices", "offsets"):
            self.register_buffer(name, getattr(table, name), persistent=False)

    def extra_repr(self) -> str:
        """Kind and size, for the printed model."""
        return f"{self.kind}, size={self.size}"


class DenseLayer(_Table):
    """Linear layer on numbers and dense vectors: ``[n] ids -> [n, out]``.

    Args:
        table: The numbers or vectors.
        out: Size of the output.
        scaling: Scales the values ``[n, size]`` before the layer; None leaves them as they are.
    """

    values: Tensor
    rows: Tensor | None

    def __init__(self, table: ModalityTable, out: int, scaling: nn.Module | None = None) -> None:
        super().__init__(table)
        self.scaling = scaling or nn.Identity()
        self.linear = nn.Linear(table.size, out)

    def inputs(self, rows: Tensor) -> Tensor:
        """Scaled values ``[n, size]`` of the entities ``rows``."""
        return self.scaling(self.values[rows if self.rows is None else self.rows[rows]])

    def forward(self, rows: Tensor) -> Tensor:
        """Project the vectors of the entities ``rows``."""
        return self.linear(self.inputs(rows))


class CategoryLayer(_Table):
    """Embedding of the category: ``[n] ids -> [n, out]``."""

    values: Tensor

    def __init__(self, table: ModalityTable, out: int) -> None:
        super().__init__(table)
        self.embedding = _embedding(table.size, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Embed the categories of the entities ``rows``."""
        return self.embedding(self.values[rows])


class BagLayer(_Table):
    """Mean of the embeddings of the labels in a bag: ``[n] ids -> [n, out]``."""

    indices: Tensor
    offsets: Tensor

    def __init__(self, table: ModalityTable, out: int) -> None:
        super().__init__(table)
        self.embedding = _embedding(table.size, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Pool the labels of the entities ``rows``."""
        indices, starts, _ = gather_bags(self.indices, self.offsets, rows)
        return functional.embedding_bag(indices, self.embedding.weight, starts, mode="mean")


@dataclass(frozen=True)
class Bags:
    """A bag of ids for each of ``n`` entities."""

    indices: Tensor
    """int ``[nnz]``, one bag after the other."""
    offsets: Tensor
    """int ``[n + 1]``, where each bag starts and the last one ends."""

    COLUMNS: ClassVar[int] = 32
    """Columns that a CPU sums at a time, where so many of ``FEW_ROWS`` rows fit its second cache: a third less time."""
    FEW_ROWS: ClassVar[int] = 1 << 14
    """Number of rows up to which columns are divided."""

    def narrowed(self) -> Bags:
        """The same in int32 where that is wide enough, which is summed in two thirds of the time."""
        return Bags(self.indices.int(), self.offsets.int()) if len(self.indices) < 1 << 31 else self

    def sum(self, weight: Tensor) -> Tensor:
        """The sum of the rows of ``weight`` that each bag names, ``[n, out]``."""
        n_rows, n_columns = weight.shape
        width = self.COLUMNS if weight.device.type == "cpu" and n_rows <= self.FEW_ROWS else n_columns
        parts = [weight] if width >= n_columns else [part.contiguous() for part in weight.split(width, dim=1)]
        sums = [
            functional.embedding_bag(self.indices, part, self.offsets, mode="sum", include_last_offset=True)
            for part in parts
        ]
        return sums[0] if len(sums) == 1 else torch.cat(sums, dim=1)


def transpose(bags: Bags, size: int) -> Bags:
    """For each of ``size`` ids the bag of the entities that have it, ascending."""
    entities = torch.arange(len(bags.offsets) - 1, device=bags.indices.device)
    owners = entities.repeat_interleave(bags.offsets.diff())
    counts = torch.bincount(bags.indices, minlength=size)
    return Bags(owners[bags.indices.argsort(stable=True)], functional.pad(counts.cumsum(0), (1, 0)))


class _SumOfBags(torch.autograd.Function):
    """``bags.sum(weight)[rows]``, whose gradient is a sum of the transposed bags.

    That of ``torch.nn.functional.embedding_bag`` sorts all indices in every step, which takes 20 times as long.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor, bags: Bags, transposed: Bags) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.n_bags, ctx.transposed = len(bags.offsets) - 1, transposed
        return bags.sum(weight)[rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (rows,) = gradients, ctx.saved_tensors
        spread = gradient.new_zeros((ctx.n_bags, gradient.shape[1])).index_add_(0, rows, gradient)
        return ctx.transposed.sum(spread), None, None, None


class InteractionsLayer(_Table):
    """Linear map of the multi-hot training vector, as a sparse product: ``[n] ids -> [n, out]``.

    Args:
        table: The ``interactions`` of one side.
        out: Size of the output.
        normalize: Whether the multi-hot vector is L2-normalised, that is divided by the root of its ones.
    """

    FEW = 1 / 16
    """Share of the entities below which only their own bags are read, in the gradient too."""

    indices: Tensor
    offsets: Tensor
    transposed_indices: Tensor
    transposed_offsets: Tensor

    def __init__(self, table: ModalityTable, out: int, normalize: bool) -> None:
        super().__init__(table)
        self.normalize = normalize
        self.embedding = _embedding(table.size, out)
        self.bias = nn.Parameter(torch.zeros(out))
        bags = Bags(self.indices, self.offsets)
        for prefix, held in (("", bags), ("transposed_", transpose(bags, table.size))):
            narrow = held.narrowed()
            self.register_buffer(f"{prefix}indices", narrow.indices, persistent=False)
            self.register_buffer(f"{prefix}offsets", narrow.offsets, persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Project the interactions of the entities ``rows``."""
        weight = self.embedding.weight
        if len(rows) < self.FEW * (len(self.offsets) - 1):
            indices, starts, sizes = gather_bags(self.indices, self.offsets, rows)
            total = functional.embedding_bag(indices, weight, starts, mode="sum")
        else:
            bags, transposed = Bags(self.indices, self.offsets), Bags(self.transposed_indices, self.transposed_offsets)
            total = _SumOfBags.apply(weight, rows, bags, transposed)
            sizes = self.offsets.diff()[rows]
        if self.normalize:
            total = total * sizes.clamp(min=1).to(total.dtype).rsqrt()[:, None]
        return total + self.bias


class IdLayer(nn.Module):
    """A free embedding of each entity: ``[n] ids -> [n, out]``."""

    def __init__(self, n_entities: int, out: int) -> None:
        super().__init__()
        self.embedding = _embedding(n_entities, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Look up the entities ``rows``."""
        return self.embedding(rows)


def _embedding(n: int, out: int) -> nn.Embedding:
    """An embedding whose rows have a length of about 1, as L2-normalised inputs have, and a zero padding row."""
    embedding = nn.Embedding(n, out, padding_idx=0)
    with torch.no_grad():
        nn.init.normal_(embedding.weight, std=1 / math.sqrt(out))
        embedding.weight[0] = 0
    return embedding


class Projection(nn.Sequential):
    """Projection p_m of one modality to the size of the branch's input ([A] section 3.1).

    The first layer depends on the kind of the modality; further layers are linear with the activation between.

    Args:
        table: The modality.
        hidden_sizes: Sizes of the layers before the last.
        out: ``modality_size``.
        activation: Activation between the layers.
        normalize_interactions: Whether ``interactions`` are L2-normalised.
        scaling: Scales numbers and vectors before the first layer; None leaves them as they are.
    """

    def __init__(
        self,
        table: ModalityTable,
        hidden_sizes: Sequence[int],
        out: int,
        activation: str = "relu",
        normalize_interactions: bool = True,
        scaling: nn.Module | None = None,
    ) -> None:
        sizes = [*hidden_sizes, out]
        layers: list[nn.Module] = [_first_layer(table, sizes[0], normalize_interactions, scaling)]
        if hidden_sizes:
            layers += [make_activation(activation), MLP(sizes, activation=activation)]
        super().__init__(*layers)


def _first_layer(table: ModalityTable, out: int, normalize_interactions: bool, scaling: nn.Module | None) -> nn.Module:
    if table.kind is ModalityKind.INTERACTIONS:
        return InteractionsLayer(table, out, normalize_interactions)
    if table.kind is ModalityKind.ID:
        return IdLayer(len(table), out)
    if table.kind is ModalityKind.CATEGORICAL:
        return CategoryLayer(table, out)
    if table.kind is ModalityKind.MULTI_LABEL:
        return BagLayer(table, out)
    return DenseLayer(table, out, scaling)
