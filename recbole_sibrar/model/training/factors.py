"""Factors of EASE's scores, which a regression on content can predict for new items."""

from __future__ import annotations

from dataclasses import dataclass
from logging import getLogger

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.training.held_out import ClosedForm
from recbole_sibrar.model.training.teacher import gram_of, weights_of_gram

_SMALLEST = 1e-4
"""Share of the largest singular value below which a dimension is left out."""

_EXACT = 8000
"""Largest number of users or items with an exact decomposition."""

_ENOUGH = 0.95
"""Share of the scores below which a warning proposes longer embeddings: 85 % of CiteULike-a fit into 1,024."""

_SAMPLE = 1024
"""Number of users whose scores are brought to a standard deviation of 1."""


@dataclass(frozen=True)
class StartFactors:
    """Embeddings that the encoders of both sides reproduce at the start."""

    items: Tensor
    """float ``[n_items, k]``."""
    user_map: Tensor
    """float ``[n_items, k]``: a user is the sum of these rows over the interactions, divided by the root of their
    number, plus ``user_constant``."""
    user_constant: Tensor
    """float ``[k]``."""

    def users_of(self, profiles: csr_matrix) -> Tensor:
        """Embeddings of the users with these rows of :func:`by_root`, float ``[n, k]``."""
        return torch.from_numpy(profiles @ self.user_map.numpy()) + self.user_constant


def start_factors(
    matrix: csr_matrix,
    numbers: ClosedForm,
    left_out: NDArray[np.float32] | None,
    size: int,
    seed: int,
    profiles: csr_matrix,
    rows: NDArray[np.int64] | slice = slice(None),
) -> StartFactors:
    r"""Factor the scores of EASE, and add one dimension for the popularity of items.

    With EASE's weights B, let R be the scores X B less the mean of each user, and R L the predictions of each item from
    the content of the others. Its rows are brought to length 1 by a diagonal D, as every user counts alike, and have
    the singular vectors U. A new item has the embedding predicted of :math:`(D R)^T U`; this is the reduced-rank
    regression (Izenman, 1975) with predictions of left-out items, and keeps more of the scores of new items than the
    singular vectors of X B. A user's vector is :math:`x` times ``user_map`` divided by :math:`\sqrt{n_u}`, so that the
    scores of all users have a similar size. The last dimension adds :math:`c (\log(1 + n_i) - mean)`, with the count
    n_i of an item and the number c for the popularity.

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones; no row or column is empty.
        numbers: Numbers of the closed form.
        left_out: L, float ``[n_items, n_items]``: a column has the weights of the other items in the prediction of an
            item; None without content.
        size: Length k of the embeddings.
        seed: Seed of the randomised decomposition.
        profiles: The rows of the matrix as the encoder of users has them: divided by the roots of the numbers of
            interactions.
        rows: Users whose scores are factored; others have no part in the singular vectors.
    """
    weights = weights_of_gram(torch.from_numpy(gram_of(matrix)), numbers.l2).numpy()
    scores = matrix[rows] @ weights
    predicted = scores - scores.mean(1, keepdims=True)
    if left_out is not None:
        predicted = predicted @ left_out
    lengths = np.linalg.norm(predicted, axis=1, keepdims=True).clip(min=1e-6)
    predicted /= lengths

    rank = min(size - 1, *scores.shape)
    left, values, right = _decompose(predicted, rank, seed)
    rank = int((values > _SMALLEST * values[0]).sum())
    share = float((values**2).sum() / (predicted**2).sum())
    getLogger().info(f"warm_start: {share:.1%} of the closed form's scores fit into {rank} numbers")
    if share < _ENOUGH and rank == size - 1:
        getLogger().warning(
            f"warm_start: embedding_size: {size} is short for these data; more of the scores fit "
            f"into --embedding_size={2 * size} --modality_size={2 * size}"
        )

    n_items = matrix.shape[1]
    user_map, items = np.zeros((2, n_items, size), dtype=np.float32)
    # few columns first: a product of two matrices of items by items takes longest of all
    back = right[:rank].T / values[:rank]
    back = back if left_out is None else left_out @ back
    user_map[:, :rank] = weights @ back - weights.mean(1, keepdims=True) * back.sum(0)
    items[:, :rank] = (scores / lengths).T @ left[:, :rank]

    deviation = (profiles[rows][:_SAMPLE] @ user_map @ items.T).std(ddof=1)
    user_map /= max(deviation, 1e-6) ** 0.5
    items /= max(deviation, 1e-6) ** 0.5

    popularity = np.log1p(np.asarray(matrix.sum(0)).ravel())
    items[:, -1] = (popularity - popularity.mean()) * numbers.popularity**0.5
    constant = torch.zeros(size)
    constant[-1] = numbers.popularity**0.5
    return StartFactors(torch.from_numpy(items), torch.from_numpy(user_map), constant)


def _decompose(
    matrix: NDArray[np.float32], rank: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Compute the first singular vectors and values, as ``randomized_svd``; exactly up to 8,000 users or items."""
    is_wide = matrix.shape[0] < matrix.shape[1]
    rows = (matrix if is_wide else matrix.T).astype(np.float64)
    n = len(rows)
    if n > _EXACT:
        found: tuple[NDArray[np.float32], ...] = randomized_svd(matrix, rank, random_state=seed)
        return found[0], found[1], found[2]

    # of the Gram matrix: for a large share of all vectors this is faster than a randomised decomposition
    squares, vectors = eigh(
        rows @ rows.T, subset_by_index=[n - rank, n - 1], overwrite_a=True, check_finite=False
    )
    values = np.sqrt(squares[::-1].clip(min=0))
    # NumPy multiplies reversed columns without BLAS, which takes minutes
    first = np.ascontiguousarray(vectors[:, ::-1])
    second = rows.T @ first / values.clip(min=max(_SMALLEST * values[0], 1e-12))
    left, right = (first, second.T) if is_wide else (second, first.T)
    return left.astype(np.float32), values.astype(np.float32), right.astype(np.float32)


def training_matrix(users: ModalityTable, n_items: int) -> csr_matrix:
    """Write the training interactions of all users as zeros and ones, ``[n_users, n_items]``."""
    assert users.indices is not None
    assert users.offsets is not None
    ones = np.ones(len(users.indices), dtype=np.float32)
    arrays = (ones, users.indices.cpu().numpy(), users.offsets.cpu().numpy())
    matrix = csr_matrix(arrays, shape=(len(users), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def by_root(matrix: csr_matrix) -> csr_matrix:
    """Divide rows of zeros and ones by the roots of their sums."""
    sizes = np.diff(matrix.indptr)
    divided = matrix.copy()
    divided.data /= np.sqrt(np.repeat(sizes, sizes))
    return divided
