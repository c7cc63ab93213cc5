"""Numbers of the closed form of a start, chosen on training items that are held out as new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from recbole_sibrar.model.training.teacher import weights_of_gram

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Penalties of a regression to choose from."""

L2 = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Penalties of EASE to choose from: small ones fit data with few interactions of an item."""

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of a field to choose from."""

POPULARITIES = (0.0, 0.1, 0.2, 0.4)
"""Weights of the popularity to choose from."""

_PARTS = 5
"""Items are divided into this many parts, as many as held-out items are a fifth of the others."""

_CUT_OFF = 10
"""Places of a list that count."""

MAX_ITEMS = 4000
"""Items of the choice; of more, a random part is drawn. The penalty of a regression on content does not depend on their
number, as it is the variance of the noise (Rasmussen & Williams, 2006, equation 2.25)."""

_MAX_USERS = 2000
"""Users whose lists are measured."""

_WEIGHT = "weights: "
"""Begin of the name of a field's weight, which no other number has."""

Kernels = Mapping[str, NDArray[np.float32]]
"""Name of a field -> similarities of items, ``[n, n]``."""


@dataclass(frozen=True)
class ClosedForm:
    """Numbers of the closed form."""

    l2: float
    """Penalty of EASE."""
    ridge: float
    """Penalty of the regression on content."""
    popularity: float
    """Weight of the logarithm of the popularity."""
    weights: tuple[tuple[str, float], ...]
    """Each field with its weight."""

    def __str__(self) -> str:
        """Write the numbers as keys of a configuration."""
        weights = ", ".join(f"{name}: {weight:g}" for name, weight in self.weights)
        return (
            f"warm_start_l2={self.l2:g}, warm_start_ridge={self.ridge:g}, "
            f"warm_start_popularity={self.popularity:g}, warm_start_weights={{{weights}}}"
        )


class _Part:
    """Items held out as new ones, and the closed form of the others."""

    def __init__(
        self,
        matrix: NDArray[np.float32],
        kernels: Kernels,
        new: NDArray[np.bool_],
        users: NDArray[np.int64],
    ) -> None:
        kept = np.flatnonzero(~new & matrix.any(0))
        known = matrix[:, kept]
        measured = users[known[users].any(1) & matrix[np.ix_(users, new)].any(1)]
        self.profiles = known[measured]
        self.found = matrix[np.ix_(measured, new)]
        # of all users, as the penalty of EASE grows with their number
        self.gram = torch.from_numpy(known.T @ known)

        self.within = {name: kernel[np.ix_(kept, kept)] for name, kernel in kernels.items()}
        self.across = {name: kernel[np.ix_(new, kept)] for name, kernel in kernels.items()}
        popularity = np.log1p(known.sum(0))
        self.popularity = popularity - popularity.mean()
        self.scores = cache(self._scores)

    def _scores(self, l2: float) -> NDArray[np.float32]:
        """Scores of EASE for the known items, with a standard deviation of 1, less the mean of each user."""
        weights = weights_of_gram(self.gram, l2).numpy()
        scores = self.profiles @ weights / np.sqrt(self.profiles.sum(1, keepdims=True))
        scores /= max(scores.std(), 1e-6)
        return np.asarray(scores - scores.mean(1, keepdims=True))

    def measure(self, numbers: ClosedForm) -> NDArray[np.float64]:
        """Measure the nDCG of each user, with the new items as candidates."""
        weights = dict(numbers.weights)
        kernel = sum(weights[name] * own for name, own in self.within.items())
        to_new = sum(weights[name] * own for name, own in self.across.items())
        kernel = np.asarray(kernel, dtype=np.float32)
        kernel[np.diag_indices_from(kernel)] += numbers.ridge

        try:
            factor = cho_factor(kernel, overwrite_a=True, check_finite=False)
        except LinAlgError:
            # rounding has made eigenvalues negative: nothing worth choosing
            return np.zeros(len(self.found))
        predictor = cho_solve(factor, np.asarray(to_new, dtype=np.float32).T, check_finite=False)
        scores = self.scores(numbers.l2) + numbers.popularity * self.popularity
        return ndcg(scores @ predictor, self.found)


def ndcg(
    scores: NDArray[np.floating[Any]], found: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Compute the nDCG@10 of users.

    Args:
        scores: ``[n_users, n]``.
        found: ``[n_users, n]``: 1 for the items of a user, one at least, and 0 for others.

    Returns:
        ``[n_users]``.

    Example:
        >>> ndcg(np.array([[3.0, 2.0, 1.0]]), np.array([[0.0, 1.0, 0.0]])).round(4).tolist()  # 1 / log2(3)
        [0.6309]
    """
    size = min(_CUT_OFF, scores.shape[1])
    best = np.argpartition(-scores, size - 1, axis=1)[:, :size]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    hits = np.take_along_axis(found, np.take_along_axis(best, order, 1), 1)

    discounts = 1 / np.log2(np.arange(2, size + 2))
    n_found = np.minimum(found.sum(1), size).astype(int)
    return np.asarray(hits @ discounts / discounts.cumsum()[n_found - 1])


def choose_numbers(
    matrix: NDArray[np.float32],
    kernels_of: Callable[[NDArray[np.int64]], Kernels],
    start: ClosedForm,
    is_open: Mapping[str, bool],
    seed: int,
) -> ClosedForm:
    """Choose numbers by the nDCG@10 of held-out training items, one number at a time.

    Each item is new at most once, and known in the other parts. A number moves along its list while
    the mean over the users grows by more than its standard error; two rounds over all numbers.

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones.
        kernels_of: Returns the similarities of some items.
        start: Numbers to begin with.
        is_open: ``l2``, ``ridge``, ``popularity`` or ``weights``, True for numbers to choose.
        seed: Seed of the division.
    """
    rng = np.random.default_rng(seed)
    parts = list(_divide(matrix, kernels_of, rng))
    if not parts:
        return start

    @cache
    def measure(numbers: ClosedForm) -> NDArray[np.float64]:
        return np.concatenate([part.measure(numbers) for part in parts])

    return climb(start, is_open, measure)


def climb(
    start: ClosedForm,
    is_open: Mapping[str, bool],
    measure: Callable[[ClosedForm], NDArray[np.float64]],
) -> ClosedForm:
    """Move the open numbers, one at a time, in two rounds; see :func:`choose_numbers`.

    Args:
        start: Numbers to begin with.
        is_open: ``l2``, ``ridge``, ``popularity`` or ``weights``, True for numbers to choose.
        measure: Returns the nDCG of users.
    """
    numbers = start
    for _ in range(2):
        if is_open["ridge"]:
            numbers = _climb(numbers, PENALTIES, "ridge", measure)
        if is_open["l2"]:
            numbers = _climb(numbers, L2, "l2", measure)
        if is_open["weights"] and len(numbers.weights) > 1:
            for name, _ in numbers.weights:
                numbers = _climb(numbers, WEIGHTS, f"{_WEIGHT}{name}", measure)
        if is_open["popularity"]:
            numbers = _climb(numbers, POPULARITIES, "popularity", measure)
    return numbers


def _divide(
    matrix: NDArray[np.float32],
    kernels_of: Callable[[NDArray[np.int64]], Kernels],
    rng: np.random.Generator,
) -> Iterator[_Part]:
    """Divide items into parts, of which each is new once; parts without a user that can be measured are left out."""
    items = rng.permutation(matrix.shape[1])[:MAX_ITEMS]
    users = rng.permutation(len(matrix))[:_MAX_USERS]
    drawn = matrix[:, items]
    kernels = kernels_of(items)

    places = np.arange(len(items)) % _PARTS
    n_parts = (
        _PARTS if len(items) < MAX_ITEMS else 2
    )  # the parts of a large sample are large enough
    for part in range(n_parts):
        new = places == part
        if (drawn[users][:, new].any(1) & drawn[users][:, ~new].any(1)).any():
            yield _Part(drawn, kernels, new, users)


def _climb(
    numbers: ClosedForm,
    choices: tuple[float, ...],
    name: str,
    measure: Callable[[ClosedForm], NDArray[np.float64]],
) -> ClosedForm:
    """Move one number up or down its list while the measure grows; see :func:`choose_numbers`."""
    field = name.removeprefix(_WEIGHT)
    value = getattr(numbers, name) if field == name else dict(numbers.weights)[field]
    place = int(np.argmin([abs(choice - value) for choice in choices]))

    for step in (1, -1):
        moved = False
        while 0 <= place + step < len(choices):
            changed = _with(numbers, name, choices[place + step])
            gains = measure(changed) - measure(numbers)
            if gains.mean() <= gains.std() / np.sqrt(len(gains)):
                break
            numbers, place, moved = changed, place + step, True
        if moved:
            break
    return numbers


def _with(numbers: ClosedForm, name: str, value: float) -> ClosedForm:
    """Replace one number."""
    field = name.removeprefix(_WEIGHT)
    if field == name:
        return ClosedForm(**{**vars(numbers), name: value})
    return replace(numbers, weights=tuple((dict(numbers.weights) | {field: value}).items()))
