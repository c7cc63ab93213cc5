"""Paired tests over users: is one model better than another?

The papers use the paired t-test over users at p < 0.05 with Bonferroni correction. SciPy and
statsmodels do the statistics.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from recbole_sibrar.errors import DataError

__all__ = ["Comparison", "compare", "compare_all", "user_means"]

_TESTS = ("p_t", "p_wilcoxon")
_CORRECTIONS = ("bonferroni", "holm")

_MAX_EXACT = 50
"""Largest number of users for the exact distribution of Wilcoxon's statistic, as in SciPy."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two models in one metric."""

    n_users: int
    """Users with a value of both models."""
    mean_a: float
    """Mean of the first model over these users."""
    mean_b: float
    """Mean of the second."""
    low: float
    """Lower end of the 95 % confidence interval (Student's t) of the mean of first minus second."""
    high: float
    """Upper end."""
    effect: float
    """Cohen's d of the paired differences: their mean over their deviation; 0 if all are 0."""
    p_t: float
    """p of the two-sided paired t-test."""
    p_wilcoxon: float
    """p of the two-sided Wilcoxon signed-rank test, with Pratt's treatment of zero differences."""


def user_means(runs: Sequence[pd.DataFrame], metric: str) -> pd.Series[float]:
    """Average each user over the runs of one model with different seeds.

    Args:
        runs: Frames from ``save_per_user``; the first column is the user's id.
        metric: Name of a column.

    Returns:
        A value for each user, without users that have none.

    Raises:
        DataError: A frame lacks the metric, or has a user twice.

    Example:
        >>> first = pd.DataFrame({"user_id": ["a", "b"], "ndcg@10": [0.25, 0.5]})
        >>> second = pd.DataFrame({"user_id": ["b", "a"], "ndcg@10": [1.0, 0.75]})
        >>> user_means([first, second], "ndcg@10").to_dict()
        {'a': 0.5, 'b': 0.75}
    """
    columns = []
    for run in runs:
        if metric not in run.columns:
            names = ", ".join(name for name in run.columns[1:] if name != "items")
            raise DataError(f"metric: found '{metric}', allowed is any of {names}")

        values = run.set_index(run.columns[0])[metric]
        if values.index.has_duplicates:
            user = values.index[values.index.duplicated()][0]
            raise DataError(f"results of users: user '{user}' occurs twice")
        columns.append(values)

    # mean skips NaN: a user counts with the seeds that have a value.
    return pd.concat(columns, axis=1).mean(axis=1).dropna()


def compare(first: pd.Series[float], second: pd.Series[float]) -> Comparison:
    r"""Compare two models by the values of the users they share.

    .. math:: t = \frac{\bar d}{s_d / \sqrt n}, \quad effect = \bar d / s_d

    with the differences d of n users, their mean and their standard deviation s (n - 1).

    Args:
        first: A value for each user, from :func:`user_means`.
        second: Likewise.

    Raises:
        DataError: The models share fewer than two users.

    Example:
        >>> a, b = pd.Series([0.4, 0.6, 0.8]), pd.Series([0.1, 0.2, 0.3])
        >>> result = compare(a, b)
        >>> result.n_users, round(result.effect, 2), round(result.p_t, 3)
        (3, 4.0, 0.02)
    """
    pairs = pd.concat([first, second], axis=1, join="inner").to_numpy(dtype=float)
    n = len(pairs)
    if n < 2:
        found = f"{n} users have results of both models"
        raise DataError(f"significance: {found}, a paired test needs at least two")

    # Rounding alone must not make a win: values that differ in their last digits count as equal.
    equal = np.isclose(pairs[:, 0], pairs[:, 1], rtol=1e-9, atol=1e-12)
    difference = np.where(equal, 0, pairs[:, 0] - pairs[:, 1])
    mean = difference.mean()
    effect, half, p_t = _t_test(difference)

    return Comparison(
        n_users=n,
        mean_a=float(pairs[:, 0].mean()),
        mean_b=float(pairs[:, 1].mean()),
        low=float(mean - half),
        high=float(mean + half),
        effect=effect,
        p_t=p_t,
        p_wilcoxon=_wilcoxon(difference),
    )


def _t_test(difference: NDArray[Any]) -> tuple[float, float, float]:
    """Effect size, half the width of the confidence interval, and p of the paired t-test."""
    n = len(difference)
    mean = difference.mean()
    deviation = difference.std(ddof=1)

    # The deviation of equal differences may be a rounding error instead of 0.
    is_constant = np.ptp(difference) <= 1e-9 * np.abs(difference).max()
    if is_constant:
        # Neither test is defined here. A shift common to all users is as significant as can be.
        if not mean:
            return 0.0, 0.0, 1.0
        return float(np.copysign(np.inf, mean)), 0.0, 0.0

    # A two-sided interval of 95 % leaves 2.5 % on each side.
    half = stats.t.ppf(0.975, n - 1) * deviation / np.sqrt(n)
    p = stats.ttest_1samp(difference, 0).pvalue
    return float(mean / deviation), float(half), float(p)


def _wilcoxon(difference: NDArray[Any]) -> float:
    """p of the signed-rank test: exact for up to 50 users without zeros and ties."""
    difference = difference.round(12)  # 0.3 - 0.2 and 0.2 - 0.1 are a tie
    if not difference.any():
        return 1.0

    # SciPy's exact distribution allows neither zeros nor ties.
    sizes = np.abs(difference)
    untied = len(np.unique(sizes)) == len(sizes) and sizes.all()
    method = "exact" if untied and len(sizes) <= _MAX_EXACT else "approx"

    with warnings.catch_warnings():
        # The table has their number.
        warnings.filterwarnings("ignore", "Sample size too small", UserWarning)
        return float(stats.wilcoxon(difference, zero_method="pratt", method=method).pvalue)


def compare_all(
    models: Mapping[str, Sequence[pd.DataFrame]],
    metrics: Sequence[str],
    reference: str | None = None,
) -> pd.DataFrame:
    """Compare all pairs of models, or one model with all others, in some metrics.

    p-values are corrected for the number of pairs, within each metric and test.

    Args:
        models: Name of each model -> the results of its users, one frame for each seed.
        metrics: Names of metrics.
        reference: A model; None for all pairs.

    Returns:
        A row for each metric and pair: ``metric``, ``a``, ``b``, the fields of :class:`Comparison`,
        and for both tests (``t``, ``wilcoxon``) the corrected p-values ``p_t_bonferroni``,
        ``p_t_holm`` and so on.

    Raises:
        DataError: A model lacks a metric, or a pair has no users in common.

    Example:
        >>> users = ["u1", "u2", "u3"]
        >>> def run(values):
        ...     return [pd.DataFrame({"user_id": users, "hit@10": values})]
        >>> models = {"SiBraR": run([0.4, 0.6, 0.8]), "BPR": run([0.1, 0.2, 0.3])}
        >>> models["Pop"] = run([0.1, 0.1, 0.2])
        >>> table = compare_all(models, ["hit@10"], reference="SiBraR")
        >>> table[["a", "b", "p_t", "p_t_bonferroni"]].round(3).values.tolist()
        [['SiBraR', 'BPR', 0.02, 0.04], ['SiBraR', 'Pop', 0.034, 0.068]]
    """
    pairs = list(combinations(models, 2))
    if reference is not None:
        pairs = [(reference, name) for name in models if name != reference]

    rows = []
    for metric in metrics:
        means = {name: user_means(runs, metric) for name, runs in models.items()}
        found = []
        for a, b in pairs:
            comparison = compare(means[a], means[b])
            found.append({"metric": metric, "a": a, "b": b, **vars(comparison)})

        # Each metric is a family of tests of its own.
        _add_corrected(found)
        rows += found
    return pd.DataFrame(rows)


def _add_corrected(rows: Sequence[dict[str, Any]]) -> None:
    """Add the corrected p-values to the comparisons of one metric."""
    if not rows:
        return

    for test in _TESTS:
        p_values = [row[test] for row in rows]
        for method in _CORRECTIONS:
            corrected = multipletests(p_values, method=method)[1]
            for row, p in zip(rows, corrected, strict=True):
                row[f"{test}_{method}"] = float(p)
