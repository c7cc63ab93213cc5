"""Numbers of the closed form for new users, chosen on training users that are held out as new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.model.training.held_out import ClosedForm, Kernels, climb, ndcg, solve
from recbole_sibrar.model.training.teacher import gram_of, weights_of_gram

_MAX_USERS = 3000
"""Users of the choice; of more, a random part is drawn."""

_PARTS = 5
"""Users are divided into this many parts."""

_LARGE = 2000
"""Users from which on two parts are enough."""


def user_weights(sizes: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Weigh users by the fourth root of the number of their interactions, 1 in the mean.

    The vectors of users are divided by the root of this number. As targets of a regression, long histories count for
    more: they say more about a group of users.
    """
    weights = np.sqrt(np.sqrt(sizes))
    return np.asarray(weights / weights.mean(), dtype=np.float32)


class _Part:
    """Users held out as new ones, and the closed form of the others."""

    def __init__(
        self, matrix: csr_matrix, kernels: Kernels, users: NDArray[np.int64], n: int
    ) -> None:
        new, kept = users[:n], users[n:]
        known = matrix[np.setdiff1d(np.arange(matrix.shape[0]), new)]
        # an item that only the new users have cannot be found
        items = np.flatnonzero(known.getnnz(axis=0))
        known = known[:, items]
        self.gram = torch.from_numpy(gram_of(known))
        self.profiles = matrix[kept][:, items].toarray()
        found = matrix[new][:, items].toarray()
        self.is_measured = found.any(1)
        self.found = found[self.is_measured]

        self.within = {name: kernel[n:, n:] for name, kernel in kernels.items()}
        self.across = {name: kernel[:n, n:][self.is_measured] for name, kernel in kernels.items()}
        popularity = np.log1p(np.asarray(known.sum(0)).ravel())
        self.popularity = popularity - popularity.mean()
        self.scores = cache(self._scores)

    def _scores(self, l2: float) -> NDArray[np.float32]:
        """Scores of EASE for the known users, less the mean of each user, with a standard deviation of 1."""
        sizes = np.maximum(self.profiles.sum(1), 1)
        profiles = self.profiles * (user_weights(sizes) / np.sqrt(sizes))[:, None]
        scores = profiles @ weights_of_gram(self.gram, l2).numpy()
        scores -= scores.mean(1, keepdims=True)
        return np.asarray(scores / max(scores.std(), 1e-6))

    def measure(self, numbers: ClosedForm) -> NDArray[np.float64]:
        """Measure the nDCG of each new user, with all items as candidates."""
        weights = dict(numbers.weights)
        kernel = np.asarray(sum(weights[name] * own for name, own in self.within.items()))
        to_new = np.asarray(sum(weights[name] * own for name, own in self.across.items()))
        solved = solve(kernel.astype(np.float32), numbers.ridge, to_new.astype(np.float32).T)
        if solved is None:
            return np.zeros(len(self.found))

        shares = solved.T
        scores = self.scores(numbers.l2)
        # the mean has no penalty
        constant = (1 - shares.sum(1, keepdims=True)) * scores.mean(0)
        popularity = numbers.popularity * self.popularity
        return ndcg(shares @ scores + constant + popularity, self.found)


def choose_for_users(
    matrix: csr_matrix,
    kernels_of: Callable[[NDArray[np.int64], float], Kernels],
    start: ClosedForm,
    is_open: Mapping[str, bool],
    seed: int,
) -> ClosedForm:
    """Choose numbers by the nDCG@10 of held-out training users, one number at a time.

    The weights are those of the users' fields. See :func:`choose_numbers` for the search, and for the arguments.
    """
    rng = np.random.default_rng(seed)
    users = rng.permutation(matrix.shape[0])[:_MAX_USERS]
    n = len(users) // _PARTS
    if not n:
        return start

    kernels = kernels_of(users, 0.0)
    parts = []
    for part in range(2 if len(users) > _LARGE else _PARTS):
        order = np.roll(np.arange(len(users)), -part * n)
        own = {name: kernel[np.ix_(order, order)] for name, kernel in kernels.items()}
        parts.append(_Part(matrix, own, users[order], n))

    @cache
    def measure(numbers: ClosedForm) -> NDArray[np.float64]:
        return np.concatenate([part.measure(numbers) for part in parts])

    return climb(start, is_open, measure)
