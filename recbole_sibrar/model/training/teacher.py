"""Teacher of a distillation: EASE, a linear model of the training interactions in closed form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from recbole_sibrar.config import RecommenderConfig, refuse
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.names import INTERACTIONS

LARGEST = 500_000_000
"""Largest number of entries of a matrix, users times items or items times items: 2 GB."""

_DENSE = 0.01
"""Share of entries that are not 0, from which dense products are faster."""

_BLOCK = 4096
"""Rows of a dense block."""


class Teacher(nn.Module):
    r"""Scores of EASE (Steck, WWW 2019) for all users and training items: :math:`S = X B`.

    With the Gram matrix :math:`G = X^T X + \lambda I` of the training interactions and :math:`P =
    G^{-1}`, it is :math:`B_{ij} = -P_{ij} / P_{jj}` with a zero diagonal. A student learns the
    distribution softmax(S / temperature) over items. The scores come from known items, and teach
    the encoders of their content: a new item is scored like the known items with similar content.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> interactions = ExampleData().modality_tables("user")["interactions"]
        >>> teacher = Teacher(interactions, l2=10.0, temperature=0.1)
        >>> shares = teacher.targets(torch.tensor([1]), torch.tensor([1, 2, 8]))
        >>> round(shares.sum().item(), 4), shares[0, 2].item()  # item 8 is new
        (1.0, 0.0)

    Args:
        interactions: Users' training interactions.
        l2: Regularisation lambda.
        temperature: Divisor of the scores; a small one makes the distribution sharp.

    Raises:
        ConfigError: There are too many users and items to keep their scores.
    """

    scores: Tensor
    position: Tensor

    def __init__(self, interactions: ModalityTable, l2: float, temperature: float) -> None:
        super().__init__()
        assert interactions.indices is not None
        assert interactions.offsets is not None
        self.temperature = temperature
        items, columns = torch.unique(interactions.indices, return_inverse=True)
        n_users = len(interactions)
        if max(n_users, len(items)) * len(items) > LARGEST:
            sizes = f"{n_users} users and {len(items)} items"
            allowed = f"0 for {sizes}; a matrix of EASE has at most {LARGEST} entries"
            refuse("distillation_weight", "a number above 0", allowed)

        # Columns of the items with training interactions alone: EASE inverts their matrix.
        matrix = as_rows(columns, interactions.offsets, len(items))
        position = torch.full((interactions.size,), -1)
        position[items] = torch.arange(len(items))
        self.register_buffer("scores", matrix @ ease_weights(matrix, l2), persistent=False)
        self.register_buffer("position", position, persistent=False)

    @classmethod
    def of(cls, settings: RecommenderConfig, users: Mapping[str, ModalityTable]) -> Teacher | None:
        """Make the teacher that a configuration asks for; None without one."""
        if not settings.distillation_weight:
            return None
        return cls(users[INTERACTIONS], settings.distillation_l2, settings.distillation_temperature)

    def targets(self, users: Tensor, items: Tensor) -> Tensor:
        """Compute the distribution over some items, ``[n_users, n_items]``.

        Args:
            users: int64 ``[n_users]``.
            items: int64 ``[n_items]``; those without training interactions get 0.
        """
        columns = self.position[items]
        # Any column in place of -1: its scores are masked.
        scores = self.scores[users][:, columns.clamp(min=0)] / self.temperature
        return scores.masked_fill(columns < 0, -torch.inf).softmax(1)


def as_rows(indices: Tensor, offsets: Tensor, size: int) -> Tensor:
    """Write bags as rows of zeros and ones, float ``[n, size]``.

    Args:
        indices: int64 ``[l]``: labels or items of all bags.
        offsets: int64 ``[n + 1]``: begin of each bag, and the end of the last.
        size: Number of labels or items.

    Example:
        >>> as_rows(torch.tensor([2, 0]), torch.tensor([0, 1, 2]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    rows = torch.zeros(len(offsets) - 1, size)
    rows[torch.arange(len(rows)).repeat_interleave(offsets.diff()), indices] = 1
    return rows


def ease_weights(matrix: Tensor, l2: float) -> Tensor:
    """Compute the weights B of EASE, ``[n_items, n_items]`` (Steck, WWW 2019, equation 8).

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones.
        l2: Regularisation.

    Example:
        >>> ease_weights(torch.ones(2, 2), 1.0)
        tensor([[0.0000, 0.6667],
                [0.6667, 0.0000]])
    """
    return weights_of_gram(matrix.t() @ matrix, l2)


def weights_of_gram(gram: Tensor, l2: float) -> Tensor:
    """Compute the weights of EASE from the Gram matrix of the interactions; see :func:`ease_weights`."""
    regularised = gram.clone()
    regularised.diagonal().add_(l2)
    # half the time of a general inverse; rounding can make a tiny penalty disappear
    factor, failed = torch.linalg.cholesky_ex(regularised)
    inverse = torch.linalg.inv(regularised) if failed else torch.cholesky_inverse(factor)

    weights: Tensor = inverse.div_(-inverse.diagonal())
    return weights.fill_diagonal_(0)


def gram_of(matrix: csr_matrix) -> NDArray[np.float32]:
    """Compute the Gram matrix of the columns, ``[n, n]``, by dense blocks of rows where few entries are 0.

    Example:
        >>> gram_of(csr_matrix(np.array([[1, 1], [0, 1]], dtype=np.float32))).tolist()
        [[1.0, 1.0], [1.0, 2.0]]
    """
    if matrix.nnz < _DENSE * matrix.shape[0] * matrix.shape[1]:
        return np.asarray((matrix.T @ matrix).toarray())

    gram = np.zeros((matrix.shape[1],) * 2, dtype=np.float32)
    for start in range(0, matrix.shape[0], _BLOCK):
        block = matrix[start : start + _BLOCK].toarray()
        gram += block.T @ block
    return gram
