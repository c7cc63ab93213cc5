"""First layers of the projections: each reads the values of entities from a modality table."""

from __future__ import annotations

import math
from collections.abc import Iterable, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.layers.precision import Linear

_SHORTEST = 1e-6
"""Length of the vector of an entity whose labels all have no weight."""


class Table(nn.Module):
    """Values of a modality as buffers; base of the first layers of all projections.

    The values are data, not parameters: they are not in the ``state_dict``, and a checkpoint is
    loaded on top of the data set in use.
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


class DenseLayer(Table):
    """Linear layer on numbers and dense vectors: ``[n] ids -> [n, out]``.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> layer = DenseLayer(ExampleData().modality_tables("item")["text"], 4)
        >>> layer(torch.tensor([1, 8])).shape
        torch.Size([2, 4])

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
        self.linear = Linear(table.size, out)

    def inputs(self, rows: Tensor) -> Tensor:
        """Return the scaled values ``[n, size]`` of the entities ``rows``."""
        # Vectors may be mapped from a file in its own order: entities point at their rows.
        stored = rows if self.rows is None else self.rows[rows]
        # index_select is faster than [stored].
        scaled: Tensor = self.scaling(self.values.index_select(0, stored))
        return scaled

    def forward(self, rows: Tensor) -> Tensor:
        """Project the vectors of the entities ``rows``."""
        projected: Tensor = self.linear(self.inputs(rows))
        return projected


class CategoryLayer(Table):
    """Embedding of the category: ``[n] ids -> [n, out]``.

    Example:
        >>> from recbole_sibrar.data.modality import ModalityKind, dense_table
        >>> known = torch.tensor([False, True, True])
        >>> colours = torch.tensor([0, 2, 2])
        >>> table = dense_table("colour", ModalityKind.CATEGORICAL, colours, known, 3)
        >>> first, second = CategoryLayer(table, 4)(torch.tensor([1, 2]))  # of one colour
        >>> torch.equal(first, second)
        True
    """

    values: Tensor

    def __init__(self, table: ModalityTable, out: int) -> None:
        super().__init__(table)
        self.embedding = make_embedding(table.size, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Embed the categories of the entities ``rows``."""
        embedded: Tensor = self.embedding(self.values[rows])
        return embedded


class BagLayer(Table):
    """Mean of the embeddings of the labels in a bag: ``[n] ids -> [n, out]``.

    Args:
        table: The labels.
        out: Size of the output.
        by_root: Divide the sum by the root of the number of labels instead, and add a constant.
            This is a linear layer on multi-hot vectors of length 1, whose products are cosines. A
            start from a closed form may weigh the labels (``label_weights``); vectors keep their
            length.

    Example:
        >>> from scipy.sparse import csr_matrix
        >>> from recbole_sibrar.data.modality import ModalityKind, bag_table
        >>> labels = csr_matrix([[0, 0, 0], [0, 1, 1], [0, 1, 0]])
        >>> layer = BagLayer(bag_table("genre", ModalityKind.MULTI_LABEL, labels), 4)
        >>> both, one = layer(torch.tensor([1, 2]))
        >>> weight = layer.embedding.weight
        >>> torch.allclose(both, weight[1:].mean(0)), torch.allclose(one, weight[1])
        (True, True)
    """

    indices: Tensor
    offsets: Tensor
    label_weights: Tensor

    def __init__(self, table: ModalityTable, out: int, by_root: bool = False) -> None:
        super().__init__(table)
        self.embedding = make_embedding(table.size, out)
        self.bias = nn.Parameter(torch.zeros(out)) if by_root else None
        if by_root:
            self.register_buffer("label_weights", torch.ones(table.size))

    def forward(self, rows: Tensor) -> Tensor:
        """Pool the labels of the entities ``rows``."""
        # An empty bag has the mean 0.
        indices, starts, _ = gather_bags(self.indices, self.offsets, rows)
        if self.bias is None:
            return functional.embedding_bag(indices, self.embedding.weight, starts, mode="mean")

        weights = self.label_weights[indices]
        total = functional.embedding_bag(
            indices, self.embedding.weight, starts, mode="sum", per_sample_weights=weights
        )
        squares = self.label_weights.square()[:, None]
        lengths = functional.embedding_bag(indices, squares, starts, mode="sum").sqrt()
        return total / lengths.clamp(min=_SHORTEST) + self.bias


class IdLayer(nn.Module):
    """Free embedding of each entity: ``[n] ids -> [n, out]``.

    Example:
        >>> IdLayer(3, 4)(torch.tensor([0]))  # the padding
        tensor([[0., 0., 0., 0.]], grad_fn=<EmbeddingBackward0>)
    """

    def __init__(self, n_entities: int, out: int) -> None:
        super().__init__()
        self.embedding = make_embedding(n_entities, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Look up the entities ``rows``."""
        embedded: Tensor = self.embedding(rows)
        return embedded


def make_embedding(n: int, out: int) -> nn.Embedding:
    """Make an embedding with rows of length about 1, and a zero padding row.

    Example:
        >>> weight = make_embedding(1000, 64).weight
        >>> round(weight[1:].norm(dim=1).mean().item(), 1), weight[0].norm().item()
        (1.0, 0.0)
    """
    # L2-normalised inputs have the length 1 too; PyTorch's own rows have the length root of out.
    embedding = nn.Embedding(n, out, padding_idx=0)
    with torch.no_grad():
        nn.init.normal_(embedding.weight, std=1 / math.sqrt(out))
        embedding.weight[0] = 0
    return embedding


def bag_sizes(offsets: Tensor, rows: Tensor) -> Tensor:
    """Find the sizes ``[n]`` of the bags of some entities; see :func:`gather_bags`.

    Example:
        >>> bag_sizes(torch.tensor([0, 2, 2, 3]), torch.tensor([2, 0]))
        tensor([1, 2])
    """
    return offsets.index_select(0, rows + 1) - offsets.index_select(0, rows)


def gather_bags(indices: Tensor, offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gather the bags of some entities from the bags of all.

    Args:
        indices: int ``[nnz]``, the bags of all entities one after the other.
        offsets: int ``[n_entities + 1]``, of the same type: start of each bag, and end of the last.
        rows: int64 ``[n]``, the entities.

    Returns:
        The chosen indices ``[m]``, the start of each of the ``n`` bags ``[n]``, and their sizes
        ``[n]``.

    Example:
        >>> indices = torch.tensor([5, 7, 2])
        >>> offsets = torch.tensor([0, 2, 2, 3])
        >>> bags, starts, sizes = gather_bags(indices, offsets, torch.tensor([2, 0]))
        >>> bags.tolist(), starts.tolist(), sizes.tolist()
        ([2, 5, 7], [0, 1], [1, 2])
    """
    sizes = bag_sizes(offsets, rows)
    ends = sizes.cumsum(0)
    starts = ends - sizes

    # output_size spares a synchronisation with the GPU.
    total = int(ends[-1]) if len(ends) else 0
    position = torch.arange(total, device=rows.device)
    within = position - starts.repeat_interleave(sizes, output_size=total)
    first = offsets.index_select(0, rows)
    sources = first.repeat_interleave(sizes, output_size=total) + within
    return indices.index_select(0, sources), starts.to(indices.dtype), sizes


def pad_rows(state: MutableMapping[str, Any], names: Iterable[str], known: int, n: int) -> None:
    """Add rows of zeros for entities that training did not know; no batch looks them up.

    Args:
        state: A ``state_dict``; its entries are replaced.
        names: Entries with a row for each entity.
        known: Number of entities in training, padding included; entries with fewer rows stay as
            they are.
        n: Number of entities now; nothing changes if it is the same.

    Example:
        >>> state = {"embedding.weight": torch.ones(2, 1)}
        >>> pad_rows(state, ["embedding.weight"], 2, 3)
        >>> state["embedding.weight"].flatten().tolist()
        [1.0, 1.0, 0.0]
    """
    for name in names:
        rows = state.get(name)
        if isinstance(rows, Tensor) and known < n and len(rows) >= known:
            zeros = rows.new_zeros((n - known, *rows.shape[1:]))
            state[name] = torch.cat([rows[:known], zeros])
