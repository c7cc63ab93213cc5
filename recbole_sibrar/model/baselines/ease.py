"""EASE (Steck, WWW 2019) in two factors: exact, or of low rank for large catalogues."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd


def closed_form(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Compute EASE's weights from a regularised Gram matrix.

    .. math:: B = I - P \cdot diag(1 / diag(P)), \quad P = G^{-1}

    Its diagonal is 0 (Steck 2019, equation 8).

    Args:
        gram: Symmetric and positive definite, ``[n, n]``.

    Returns:
        ``[n, n]``; the scores of a user with the interactions x are x B.

    Example:
        >>> closed_form(np.array([[2.0, 1.0], [1.0, 2.0]])).round(6).tolist()
        [[0.0, 0.5], [0.5, 0.0]]
    """
    # The inverse from the Cholesky factor in place: half the time, and one matrix of this size
    # instead of four.
    factor, _ = cho_factor(gram, lower=True)
    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    # LAPACK fills the lower triangle only.
    for row in range(len(gram)):
        inverse[row, row + 1 :] = inverse[row + 1 :, row]

    weights = np.divide(inverse, -np.diag(inverse), out=inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights)


def item_factors(
    interactions: csr_matrix, reg_weight: float, rank: int | None, seed: int
) -> tuple[NDArray[np.floating[Any]] | None, NDArray[np.floating[Any]]]:
    r"""Factor EASE's weights: scores are X P Y^T.

    The exact form is :math:`P = I, Y = B^T`. The low-rank form leaves out the constraint of a zero
    diagonal. It is ridge regression of the matrix on itself within the first singular vectors:
    :math:`P = V diag(s^2 / (s^2 + \lambda)), Y = V` for :math:`X \approx U diag(s) V^T`.

    Args:
        interactions: X, ``[n_users, n]``.
        reg_weight: Penalty :math:`\lambda`.
        rank: Number of singular vectors; None for the exact form.
        seed: Seed of the randomised decomposition.

    Returns:
        P, None for the identity, and Y ``[n, c]``.

    Example:
        >>> interactions = csr_matrix([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
        >>> _, exact = item_factors(interactions, 1.0, None, 0)
        >>> _, low_rank = item_factors(interactions, 1.0, 2, 0)
        >>> exact.shape, low_rank.shape
        ((3, 3), (3, 2))
    """
    if rank is None:
        gram = (interactions.T @ interactions).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += reg_weight
        return None, closed_form(gram).T

    rank = min(rank, *interactions.shape)
    _, values, right = randomized_svd(interactions, n_components=rank, random_state=seed)
    kept = values**2 / (values**2 + reg_weight)
    return right.T * kept, right.T
