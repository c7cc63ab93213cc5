"""Measures of the modality gap: distances between the modalities of an item or user.

The gap is that of [B], section on the gap. All are functions of embeddings
``[n_items, n_modalities, k]`` and of their availability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.studies.gap.classifier import predict_modalities
from recbole_sibrar.studies.gap.options import MAX_ITEMS
from recbole_sibrar.studies.gap.values import CUTOFFS, values_of_queries

__all__ = ["COLUMNS", "RESAMPLES", "measure_gap", "sample_size"]

COLUMNS = ("first", "second", "measure", "value", "low", "high")
"""Columns of the table of :func:`measure_gap`."""

RESAMPLES = 1000
"""Bootstrap samples of an interval; its ends are the 2.5th and the 97.5th percentile."""

Values = Mapping[str, NDArray[Any]]
"""Name -> one number for each drawn item, or for each bootstrap sample."""


def measure_gap(
    embeddings: NDArray[Any] | Tensor,
    available: NDArray[Any] | Tensor,
    names: Sequence[str],
    *,
    seed: int = 0,
    max_items: int = MAX_ITEMS,
) -> pd.DataFrame:
    """Measure the modality gap.

    Rows of two modalities cover the items with both of them. Rows of one modality with itself have
    only distances between different items. Rows without modalities cover all modalities.

    - ``same``: distance between the two modalities of an item. ``different``: distance between one
      item's first and another item's second modality. Cosine distance is one minus the cosine, 1
      for a vector of zeros.
    - ``ratio``: ``same`` / ``different``. 0: the modalities of an item coincide; 1: they are no
      closer than those of different items.
    - ``centroid_distance``: Euclidean distance between the means of two modalities.
      ``centroid_ratio``: the same / ``euclidean_different``.
    - ``recall@1``, ``recall@10``, ``mrr``: retrieval by the cosine of the item's second modality
      among those of all items, with the first as the query (``_reverse``: vice versa). Ties are
      broken at random.
    - ``alignment``: mean squared distance of an item's modalities at unit length. ``uniformity``:
      logarithm of the mean of exp(-2 d^2) over different items (Wang and Isola, ICML 2020).
    - ``classifier_accuracy``: accuracy of a linear classifier of embeddings by modality, the mean
      over modalities, cross-validated over items. ``classifier_chance``: its accuracy by chance.

    Args:
        embeddings: float ``[n_items, n_modalities, k]``.
        available: bool ``[n_items, n_modalities]``; unavailable cells are ignored.
        names: Names of the modalities.
        seed: Seed of the drawn items, of the classifier's folds and of the bootstrap.
        max_items: Largest number of items for exact measures. Of more, a sample is compared with
            all others (see :func:`sample_size`), and each value has an interval.

    Returns:
        The columns :data:`COLUMNS`. ``low`` and ``high`` are the ends of a 95 % bootstrap interval
        over the drawn items; without a draw they equal the value. Undefined values (fewer than two
        items) are NaN.

    Raises:
        ValueError: Shapes do not fit, there are fewer than two modalities, or an available
            embedding is not finite.

    Example:
        >>> x, y = [1.0, 0.0], [0.0, 1.0]
        >>> embeddings = np.array([[x, x], [y, y]])  # two items, equal modalities
        >>> table = measure_gap(embeddings, np.ones((2, 2), dtype=bool), ["text", "image"])
        >>> values = table[table["first"] != table["second"]].set_index("measure")["value"]
        >>> values[["cosine_same", "cosine_different", "recall@1"]].tolist()
        [0.0, 1.0, 1.0]
    """
    cells, there = _checked(embeddings, available, names, max_items)
    rows: list[tuple[str, str, str, float, float, float]] = []
    columns = range(len(names))
    pairs = [*combinations(columns, 2), *zip(columns, columns, strict=True)]
    for first, second in pairs:
        items = (there[:, first] & there[:, second]).nonzero().squeeze(1)
        # A generator for each pair: its draws do not depend on the other modalities.
        generator = np.random.default_rng(seed)
        x = cells[items, first]  # [n, k]
        y = cells[items, second]  # [n, k]
        found = _measure_pair(x, y, generator, max_items, within=first == second)
        for measure, values in found.items():
            rows.append((names[first], names[second], measure, *values))

    for measure, values in _classify(cells, there, seed, max_items).items():
        rows.append(("", "", measure, *values))  # of all modalities together
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sample_size(n_items: int, max_items: int) -> int:
    """Choose the number of items to compare with all others.

    Up to ``max_items`` all are compared. Of more, a sample keeps the number of comparisons at the
    square of ``max_items``, with at least a quarter of ``max_items`` items.

    Example:
        >>> [sample_size(n, 4000) for n in (3000, 8000, 1000000)]
        [3000, 2000, 1000]
    """
    if n_items <= max_items:
        return n_items
    return max(max_items**2 // n_items, max_items // 4, 2)


def _checked(
    embeddings: NDArray[Any] | Tensor,
    available: NDArray[Any] | Tensor,
    names: Sequence[str],
    max_items: int,
) -> tuple[Tensor, Tensor]:
    cells = torch.as_tensor(embeddings).detach()
    there = torch.as_tensor(available)
    if cells.ndim != 3 or there.shape != cells.shape[:2] or len(names) != cells.shape[1]:
        found = f"embeddings {list(cells.shape)}, availability {list(there.shape)}"
        raise ValueError(
            f"modality gap: found {found} and {len(names)} names, allowed are "
            "[n_items, n_modalities, k], [n_items, n_modalities] and n_modalities"
        )
    if len(names) < 2 or max_items < 2:
        found = f"{len(names)} modalities and max_items {max_items}"
        raise ValueError(f"modality gap: found {found}, allowed are at least 2")

    for column, name in enumerate(names):
        # Unavailable cells may hold anything.
        is_finite = bool(cells[there[:, column], column].isfinite().all())
        if not is_finite:
            fault = f"embeddings of modality '{name}' are not finite"
            raise ValueError(f"modality gap: {fault}; did training diverge?")
    return cells, there


Estimates = dict[str, tuple[float, float, float]]
"""Measure -> value and the ends of its interval."""


def _measure_pair(
    x: Tensor, y: Tensor, generator: np.random.Generator, max_items: int, within: bool
) -> Estimates:
    """Compute all measures of two modalities, or of one.

    Args:
        x: float ``[n, k]``, the first modality of the items with both.
        y: float ``[n, k]``, the second modality of these items.
        generator: Source of the drawn items.
        max_items: Largest number of items for exact measures.
        within: True for a modality with itself.
    """
    n = len(x)
    estimates: Estimates = {"items": (float(n),) * 3}
    if n < 2:
        return estimates | dict.fromkeys(_measures(within), (np.nan,) * 3)

    sample = np.sort(generator.choice(n, sample_size(n, max_items), replace=False))
    queries = torch.from_numpy(sample).to(x.device)
    values = values_of_queries(x, y, queries, within)
    # In double precision: a float32 sum over millions of items loses digits of its mean.
    centroid_x = x.mean(0, dtype=torch.float64)
    centroid_y = y.mean(0, dtype=torch.float64)
    distance = float((centroid_x - centroid_y).norm())
    return estimates | _estimate(
        values, len(sample) < n, generator, lambda means: _from_means(means, distance, within)
    )


def _estimate(
    values: Values,
    drawn: bool,
    generator: np.random.Generator,
    measures: Callable[[Values], Values],
) -> Estimates:
    """Compute functions of means over items, and their bootstrap intervals for drawn items."""
    exact = measures({name: column.mean(keepdims=True) for name, column in values.items()})
    found = {}
    if not drawn:
        for name, value in exact.items():
            found[name] = (float(value[0]),) * 3
        return found

    # The percentile bootstrap (Efron 1979): how often each item is drawn is multinomial, so that
    # all measures of all resamples are products with one matrix.
    q = len(next(iter(values.values())))
    weights = generator.multinomial(q, np.full(q, 1 / q), size=RESAMPLES) / q  # [RESAMPLES, q]
    resampled = measures({name: weights @ column for name, column in values.items()})

    for name, value in exact.items():
        low, high = np.percentile(resampled[name], (2.5, 97.5))
        found[name] = (float(value[0]), float(low), float(high))
    return found


def _from_means(means: Values, centroid_distance: float, within: bool) -> Values:
    """Compute each measure from means over items."""
    measures = {
        "cosine_different": means["cosine_different"],
        "euclidean_different": means["euclidean_different"],
        # Wang and Isola (ICML 2020): the logarithm of the mean Gaussian potential exp(-2 d^2).
        "uniformity": np.log(means["kernel"]),
    }
    if within:
        return measures
    # 0 / 0 is NaN: all has collapsed into one point.
    with np.errstate(divide="ignore", invalid="ignore"):
        for kind in ("cosine", "euclidean"):
            measures[f"{kind}_same"] = means[f"{kind}_same"]
            measures[f"{kind}_ratio"] = means[f"{kind}_same"] / means[f"{kind}_different"]
        measures["centroid_distance"] = np.full_like(means["kernel"], centroid_distance)
        measures["centroid_ratio"] = centroid_distance / means["euclidean_different"]
    # Wang and Isola (ICML 2020): the mean squared distance of unit vectors, d^2 = 2 - 2 cos.
    measures["alignment"] = 2 * means["cosine_same"]
    found = {}
    for name in _measures(within):
        # The measures of retrieval are means themselves.
        found[name] = measures[name] if name in measures else means[name]
    return found


def _measures(within: bool) -> list[str]:
    """Names of the measures of a pair, in the order of the table."""
    if within:
        return ["cosine_different", "euclidean_different", "uniformity"]

    retrieval = [f"recall@{k}" for k in CUTOFFS]
    retrieval.append("mrr")
    reverse = [f"{name}_reverse" for name in retrieval]
    return [
        *("cosine_same", "cosine_different", "cosine_ratio"),
        *("euclidean_same", "euclidean_different", "euclidean_ratio"),
        *("centroid_distance", "centroid_ratio"),
        *retrieval,
        *reverse,
        *("alignment", "uniformity"),
    ]


def _classify(cells: Tensor, there: Tensor, seed: int, max_items: int) -> Estimates:
    """Compute the balanced accuracy of the classifier, and its chance level."""
    generator = np.random.default_rng(seed)
    items = there.any(1).nonzero().squeeze(1).cpu().numpy()
    drawn = len(items) > max_items
    if drawn:
        items = np.sort(generator.choice(items, max_items, replace=False))

    rows = torch.from_numpy(items).to(cells.device)
    known = there[rows].cpu().numpy()
    used = known.any(0)
    correct = predict_modalities(cells[rows].cpu().numpy(), known, seed)
    if correct is None:
        return dict.fromkeys(("classifier_accuracy", "classifier_chance"), (np.nan,) * 3)

    # Of each modality two means over the same items: a resample may leave out some of its cells.
    columns = np.flatnonzero(used)
    values = {}
    for m in columns:
        values[f"correct {m}"] = correct[:, m].astype(float)
        values[f"cells {m}"] = known[:, m].astype(float)

    def accuracy(means: Values) -> Values:
        shares = [means[f"correct {m}"] / means[f"cells {m}"] for m in columns]
        return {"classifier_accuracy": np.mean(shares, axis=0)}

    found = _estimate(values, drawn, generator, accuracy)
    found["classifier_chance"] = (1 / len(columns),) * 3
    return found
