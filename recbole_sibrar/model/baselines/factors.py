"""Training interactions as a matrix, and latent vectors of users and items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from recbole_sibrar.data.modality import ModalityTable


def interaction_matrix(interactions: ModalityTable, n_items: int) -> csr_matrix:
    """Training interactions as a matrix of users and items.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> matrix = interaction_matrix(data.modality_tables("user")["interactions"], data.n_items)
        >>> bool((matrix.toarray() == data.matrix).all())
        True
    """
    assert interactions.indices is not None
    assert interactions.offsets is not None
    # Bags are the arrays of a CSR matrix already.
    ones = np.ones(len(interactions.indices), dtype=np.float32)
    arrays = (ones, interactions.indices.numpy(), interactions.offsets.numpy())
    return csr_matrix(arrays, shape=(len(interactions), n_items))


def latent_factors(
    matrix: csr_matrix, rank: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute latent vectors of users and items.

    Their dot products are the best approximation of that rank.

    Args:
        matrix: ``[n_users, n_items]``.
        rank: Length of the vectors.
        seed: Seed of the randomised decomposition.

    Returns:
        float32 ``[n_users, rank]`` and ``[n_items, rank]``; the singular values are divided between
        the two evenly.

    Example:
        >>> u, v = latent_factors(csr_matrix(np.diag([3.0, 2.0, 1.0])), 2, 0)
        >>> np.abs(np.round(u @ v.T, 3)).tolist()
        [[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    left, values, right = randomized_svd(matrix, n_components=rank, random_state=seed)
    root = np.sqrt(values)
    return (left * root).astype(np.float32), (right.T * root).astype(np.float32)
