"""Numbers of the closed form of a start, chosen on training items that are held out as new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix

from recbole_sibrar.model.training.teacher import gram_of, weights_of_gram

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Penalties of a regression to choose from."""

L2 = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Penalties of EASE to choose from: small ones fit data with few interactions of an item."""

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of a field to choose from."""

POPULARITIES = (0.0, 0.1, 0.2, 0.4)
"""Weights of the popularity to choose from."""

RARITIES = (0.0, 0.5, 1.0)
"""Powers of the weight of rare labels to choose from."""

_PARTS = 5
"""Items are divided into this many parts, as many as held-out items are a fifth of the others."""

_CUT_OFF = 10
"""Places of a list that count."""

MAX_ENTRIES = 250_000_000
"""Largest number of similarities of all fields together, 1 GB: many fields are chosen on fewer items."""

MAX_ITEMS = 4000
"""Items of the choice; of more, a random part is drawn. In theory the penalty of a regression on content does not
depend on their number, as it is the variance of the noise (Rasmussen & Williams, 2006, equation 2.25)."""

MANY_ITEMS = 12_000
"""Items of the last round for a larger catalogue. On CiteULike-a a sample of 4,000 has smaller penalties than all."""

_MAX_USERS = 2000
"""Users whose lists are measured."""

_MANY_USERS = 6000
"""Users of the last round, where differences are smaller."""

_LAST = (("ridge", PENALTIES), ("rarity", RARITIES), ("ridge", PENALTIES), ("l2", L2))
"""Numbers of the last round."""

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
    rarity: float = 0.0
    """Power of the weight of rare labels."""

    def __str__(self) -> str:
        """Write the numbers as keys of a configuration."""
        weights = ", ".join(f"{name}: {weight:g}" for name, weight in self.weights)
        return (
            f"warm_start_l2={self.l2:g}, warm_start_ridge={self.ridge:g}, "
            f"warm_start_popularity={self.popularity:g}, warm_start_weights={{{weights}}}, "
            f"warm_start_rarity={self.rarity:g}"
        )


class _Part:
    """Items held out as new ones, and the closed form of the others."""

    def __init__(
        self, matrix: csr_matrix, new: NDArray[np.bool_], users: NDArray[np.int64]
    ) -> None:
        self.new = np.flatnonzero(new)
        self.kept = np.flatnonzero(~new & (matrix.getnnz(axis=0) > 0))
        known, found = matrix[:, self.kept], matrix[users][:, self.new]
        is_measured = (known[users].getnnz(axis=1) > 0) & (found.getnnz(axis=1) > 0)
        self.profiles = known[users[is_measured]].toarray()
        self.found = found[is_measured].toarray()
        # of all users, as the penalty of EASE grows with their number
        self.gram = torch.from_numpy(gram_of(known))

        popularity = np.log1p(np.asarray(known.sum(0)).ravel())
        self.popularity = popularity - popularity.mean()
        self.scores = cache(self._scores)

    def _scores(self, l2: float) -> NDArray[np.float32]:
        """Scores of EASE for the known items, with a standard deviation of 1, less the mean of each user."""
        weights = weights_of_gram(self.gram, l2).numpy()
        scores = self.profiles @ weights / np.sqrt(self.profiles.sum(1, keepdims=True))
        scores /= max(scores.std(), 1e-6)
        return np.asarray(scores - scores.mean(1, keepdims=True))

    def measure(
        self, numbers: ClosedForm, similarities: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Measure the nDCG of each user, with the new items as candidates.

        Args:
            numbers: Numbers of the closed form.
            similarities: Weighted similarities of all items of the choice.
        """
        kernel = similarities[np.ix_(self.kept, self.kept)]
        predictor = solve(kernel, numbers.ridge, similarities[np.ix_(self.kept, self.new)])
        if predictor is None:
            return np.zeros(len(self.found))
        scores = self.scores(numbers.l2) + numbers.popularity * self.popularity
        return ndcg(scores @ predictor, self.found)


def solve(
    kernel: NDArray[np.float32], ridge: float, to_new: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Compute the weights of known entities in the predictions of new ones, ``[n, m]``.

    Args:
        kernel: Similarities of the known entities, ``[n, n]``; overwritten.
        ridge: Penalty.
        to_new: Similarities of known and new entities, ``[n, m]``.

    Returns:
        The weights; None if rounding has made eigenvalues negative, which is nothing worth choosing.

    Example:
        >>> kernel, to_new = np.eye(2, dtype=np.float32), np.ones((2, 1), dtype=np.float32)
        >>> solve(kernel, 3.0, to_new).tolist()
        [[0.25], [0.25]]
    """
    kernel[np.diag_indices_from(kernel)] += ridge
    try:
        factor = cho_factor(kernel, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None
    return np.asarray(cho_solve(factor, to_new, check_finite=False))


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
    matrix: csr_matrix,
    kernels_of: Callable[[NDArray[np.int64], float], Kernels],
    start: ClosedForm,
    is_open: Mapping[str, bool],
    seed: int,
) -> ClosedForm:
    """Choose numbers by the nDCG@10 of held-out training items, one number at a time.

    Each item is new at most once, and known in the other parts. A number moves along its list while
    the mean over the users grows by more than its standard error; two rounds over all numbers. Of a
    larger catalogue, a sample has the numbers of the sample: a last round on more items moves the
    penalties and the weight of rare labels while the mean grows. Few items cannot tell that weight.

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones.
        kernels_of: Returns the similarities of some items, with this power of the weight of rare labels.
        start: Numbers to begin with.
        is_open: ``l2``, ``ridge``, ``popularity``, ``weights`` or ``rarity``, True for numbers to choose.
        seed: Seed of the division.
    """
    rng = np.random.default_rng(seed)
    most = int((MAX_ENTRIES / max(len(start.weights), 1)) ** 0.5)
    order = rng.permutation(matrix.shape[1])
    items = order[: min(MAX_ITEMS, most)]
    # the parts of a large sample are large enough
    n_parts = _PARTS if len(items) < min(MAX_ITEMS, most) else 2
    users = rng.permutation(matrix.shape[0])
    measure = _measure_on(matrix, items, kernels_of, users[:_MAX_USERS], n_parts)
    if measure is None:
        return start

    numbers = climb(start, is_open, measure)
    more = order[: min(MANY_ITEMS, most)]
    del measure  # its matrices make room
    larger = None
    if len(more) > len(items):
        larger = _measure_on(matrix, more, kernels_of, users[:_MANY_USERS], 1)
    if larger is None:
        return numbers
    for name, choices in _LAST:
        if is_open[name]:
            numbers = _climb(numbers, choices, name, larger, errors=0.0)
    return numbers


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


def _measure_on(
    matrix: csr_matrix,
    items: NDArray[np.int64],
    kernels_of: Callable[[NDArray[np.int64], float], Kernels],
    users: NDArray[np.int64],
    n_parts: int,
) -> Callable[[ClosedForm], NDArray[np.float64]] | None:
    """Make a measure of numbers on some items and users: the nDCG of each user and part; None without a user."""
    parts = list(_divide(matrix[:, items], users, n_parts))
    if not parts:
        return None

    @lru_cache(maxsize=1)
    def kernels(rarity: float) -> Kernels:
        return kernels_of(items, rarity)

    @lru_cache(maxsize=1)
    def weighted(rarity: float, weights: tuple[tuple[str, float], ...]) -> NDArray[np.float32]:
        total = np.zeros((len(items),) * 2, dtype=np.float32)
        for name, weight in weights:
            if weight > 0:
                total += np.float32(weight) * kernels(rarity)[name]
        return total

    @cache
    def measure(numbers: ClosedForm) -> NDArray[np.float64]:
        similarities = weighted(numbers.rarity, numbers.weights)
        return np.concatenate([part.measure(numbers, similarities) for part in parts])

    return measure


def _divide(matrix: csr_matrix, users: NDArray[np.int64], n_parts: int) -> Iterator[_Part]:
    """Divide items into parts, of which each is new once; parts without a user that can be measured are left out."""
    of_users = matrix[users]
    places = np.arange(matrix.shape[1]) % _PARTS
    for part in range(n_parts):
        new = places == part
        has_new = of_users[:, new].getnnz(axis=1) > 0
        if (has_new & (of_users[:, ~new].getnnz(axis=1) > 0)).any():
            yield _Part(matrix, new, users)


def _climb(
    numbers: ClosedForm,
    choices: tuple[float, ...],
    name: str,
    measure: Callable[[ClosedForm], NDArray[np.float64]],
    errors: float = 1.0,
) -> ClosedForm:
    """Move one number up or down its list while the measure grows; see :func:`choose_numbers`.

    Args:
        numbers: Numbers to begin with.
        choices: Values of the number, ascending.
        name: The number.
        measure: Measures numbers for each user.
        errors: Standard errors by which the mean has to grow.
    """
    field = name.removeprefix(_WEIGHT)
    value = getattr(numbers, name) if field == name else dict(numbers.weights)[field]
    place = int(np.argmin([abs(choice - value) for choice in choices]))

    for step in (1, -1):
        moved = False
        while 0 <= place + step < len(choices):
            changed = _with(numbers, name, choices[place + step])
            gains = measure(changed) - measure(numbers)
            if gains.mean() <= errors * gains.std() / np.sqrt(len(gains)):
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
