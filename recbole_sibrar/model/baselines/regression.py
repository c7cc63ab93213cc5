"""Kernel ridge regression from content to any targets, exact or from landmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_matrix

from recbole_sibrar.model.baselines.features import ContentBlock

_SMALLEST = 1e-10
"""Share of the largest eigenvalue below which a direction of the landmarks counts as none."""

_SIMILARITIES = 1 << 24
"""Similarities to keep at a time, 128 MB."""


@dataclass(frozen=True)
class ContentKernel:
    r"""Similarity of entities by their content.

    .. math::
        K_{linear}(i, j) = \sum_m w_m cos_m(i, j), \qquad
        K_{exponential}(i, j) = \exp(\sum_m w_m cos_m(i, j) - \sum_m w_m)

    A missing modality contributes the cosine 0.

    Example:
        >>> text = ContentBlock("text", np.array([[1, 0], [0.6, 0.8]], dtype=np.float32))
        >>> both = np.arange(2)
        >>> ContentKernel((text,), (2.0,)).between(both, both).round(4).tolist()
        [[2.0, 1.2], [1.2, 2.0]]
        >>> kernel = ContentKernel((text,), (2.0,), "exponential")
        >>> kernel.between(both, both).round(4).tolist()  # e^-0.8 = 0.4493
        [[1.0, 0.4493], [0.4493, 1.0]]
    """

    blocks: tuple[ContentBlock, ...]
    """The modalities."""
    weights: tuple[float, ...]
    """Weight of each modality."""
    form: Literal["linear", "exponential"] = "linear"
    """Form of the kernel."""

    def between(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the kernel of each pair of entities, ``[len(first), len(second)]``."""
        total = np.zeros((len(first), len(second)))
        for block, weight in zip(self.blocks, self.weights, strict=True):
            total += weight * block.cosines(first, second)
        return total if self.form == "linear" else np.exp(total - sum(self.weights))


class ContentRegression:
    r"""Ridge regression on a kernel, with an unpenalised mean.

    .. math:: \hat{Y}_{new} = K(new, known) (K(known, known) + \lambda I)^{-1} (Y - \bar{Y})
        + \bar{Y}

    With landmarks (Nystrom's method; Williams and Seeger, NIPS 2000) the kernel is replaced by that
    of the features :math:`\phi(i) = K(i, L) K(L, L)^{-1/2}` of ``n_landmarks`` known entities L,
    and no matrix has the size of the catalogue on both sides.

    Example:
        >>> text = ContentBlock("text", np.array([[1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32))
        >>> kernel = ContentKernel((text,), (1.0,))
        >>> regression = ContentRegression(kernel, np.array([0, 1]), ridge_weight=1.0)
        >>> fitted = regression.fit(np.array([[1.0], [0.0]]))
        >>> fitted.predict(np.array([2])).round(4).tolist()  # 0.8/4 - 0.6/4 + 1/2
        [[0.550000011920929]]

    Args:
        kernel: Similarity of entities.
        known: int64 ``[n]``: entities with targets.
        ridge_weight: Penalty :math:`\lambda`.
        n_landmarks: Number of landmarks; None for the exact solution.
        seed: Seed of the choice of landmarks.
    """

    def __init__(
        self,
        kernel: ContentKernel,
        known: NDArray[np.int64],
        ridge_weight: float,
        n_landmarks: int | None = None,
        seed: int = 0,
    ) -> None:
        self.kernel = kernel
        self.known = known
        self.ridge_weight = ridge_weight
        self.landmarks = known
        self.root: NDArray[np.float64] | None = None
        if n_landmarks is not None and n_landmarks < len(known):
            drawn = np.random.default_rng(seed).choice(len(known), n_landmarks, replace=False)
            self.landmarks = known[np.sort(drawn)]
            self.root = _inverse_root(kernel.between(self.landmarks, self.landmarks))

    def fit(self, targets: NDArray[np.floating[Any]] | csr_matrix) -> ContentRegression:
        """Fit the targets of the known entities, ``[n, c]``."""
        # Unpenalised: without content in common, the prediction is the mean and not 0.
        self.mean = np.asarray(targets.mean(axis=0), dtype=np.float64).ravel()

        if self.root is None:
            matrix = self.kernel.between(self.known, self.known)
            matrix[np.diag_indices_from(matrix)] += self.ridge_weight
            dense = targets.toarray() if isinstance(targets, csr_matrix) else targets
            self.weights = cho_solve(cho_factor(matrix, overwrite_a=True), dense - self.mean)
            return self

        # Sums over the known entities, a block of them at a time.
        gram = self.ridge_weight * np.eye(self.root.shape[1])
        moments = np.zeros((self.root.shape[1], targets.shape[1]))
        total = np.zeros(self.root.shape[1])
        for block in self._blocks(len(self.known)):
            features = self.features(self.known[block])
            gram += features.T @ features
            moments += (targets[block].T @ features).T
            total += features.sum(axis=0)
        self.weights = cho_solve(cho_factor(gram), moments - np.outer(total, self.mean))
        return self

    def fit_predict(
        self, targets: NDArray[np.floating[Any]], entities: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Predict the targets of entities, without weights for others: faster for a few of them.

        Args:
            targets: Targets of the known entities, ``[n, c]``.
            entities: int64 ``[m]``.

        Returns:
            float32 ``[m, c]``.
        """
        if self.root is not None or len(entities) >= targets.shape[1]:
            return self.fit(targets).predict(entities)

        matrix = self.kernel.between(self.known, self.known)
        matrix[np.diag_indices_from(matrix)] += self.ridge_weight
        similarities = self.kernel.between(self.known, entities)
        shares = cho_solve(cho_factor(matrix, overwrite_a=True), similarities, overwrite_b=True)
        mean = np.asarray(targets.mean(axis=0), dtype=np.float64)
        return np.asarray(shares.T @ (targets - mean) + mean, dtype=np.float32)

    def features(self, entities: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the inputs of the linear form: similarities, or features of the landmarks."""
        # Without landmarks these are all known entities.
        similarities = self.kernel.between(entities, self.landmarks)
        return similarities if self.root is None else similarities @ self.root

    def predict(
        self, entities: NDArray[np.int64], right: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.float32]:
        """Predict the targets of entities, a block of them at a time.

        Args:
            entities: int64 ``[m]``.
            right: ``[c, b]``: a matrix to multiply the predictions with; None for the predictions
                themselves. Its product with the weights comes first, so that few columns need
                little memory.

        Returns:
            float32 ``[m, c]``, or ``[m, b]``.
        """
        weights = self.weights if right is None else self.weights @ right
        mean = self.mean if right is None else self.mean @ right

        predicted = np.empty((len(entities), len(mean)), dtype=np.float32)
        for block in self._blocks(len(entities)):
            predicted[block] = self.features(entities[block]) @ weights + mean
        return predicted

    def _blocks(self, n: int) -> Iterator[slice]:
        """Divide n entities, so that few similarities are kept at a time."""
        size = max(_SIMILARITIES // len(self.landmarks), 1)
        return (slice(start, start + size) for start in range(0, n, size))


def _inverse_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a root R of the pseudo-inverse: R R^T K = I on the directions of K that are not 0."""
    # Directions without variance would be divided by almost 0.
    values, vectors = eigh(matrix)
    kept = values > _SMALLEST * max(values[-1], _SMALLEST)
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))
