"""Whether one model is better than another: paired tests over users.

The papers test paired t over users at p < 0.05 with Bonferroni correction; SciPy and statsmodels do the statistics.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from recbole_sibrar.data.atomic import DataError


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two models in one metric."""

    n_users: int
    """Users who have a value of both."""
    mean_a: float
    """Mean of the first model over these users."""
    mean_b: float
    """Mean of the second."""
    low: float
    """Lower end of the 95 % confidence interval (Student's t) of the mean difference, first minus second."""
    high: float
    """Upper end."""
    effect: float
    """Cohen's d of the paired differences: their mean over their standard deviation; 0 where all are 0."""
    p_t: float
    """p of the two-sided paired t-test."""
    p_wilcoxon: float
    """p of the two-sided Wilcoxon signed-rank test, zero differences ranked but not counted (Pratt)."""


def user_means(runs: Sequence[pd.DataFrame], metric: str) -> pd.Series:
    """Mean of each user over the runs of one model with different seeds.

    Args:
        runs: Frames that ``save_per_user`` wrote; the first column is the user's id.
        metric: Name of a column.

    Raises:
        DataError: A frame lacks the metric, or has a user twice.
    """
    columns = []
    for run in runs:
        if metric not in run.columns:
            names = ", ".join(name for name in run.columns[1:] if name != "items")
            raise DataError(f"metric: found '{metric}', allowed is any of {names}")
        values = run.set_index(run.columns[0])[metric]
        if values.index.has_duplicates:
            raise DataError(f"results of users: user '{values.index[values.index.duplicated()][0]}' occurs twice")
        columns.append(values)
    return pd.concat(columns, axis=1).mean(axis=1).dropna()


def compare(first: pd.Series, second: pd.Series) -> Comparison:
    """Compare two models by the values of the users whom both have.

    Args:
        first: A value for each user, as :func:`user_means` gives them.
        second: Likewise.

    Raises:
        DataError: Fewer than two users have both.

    Example:
        >>> a, b = pd.Series([0.4, 0.6, 0.8]), pd.Series([0.1, 0.2, 0.3])
        >>> result = compare(a, b)
        >>> result.n_users, round(result.effect, 2), round(result.p_t, 3)
        (3, 4.0, 0.02)
    """
    pairs = pd.concat([first, second], axis=1, join="inner").to_numpy(dtype=float)
    n = len(pairs)
    if n < 2:
        raise DataError(f"significance: {n} users have results of both models, a paired test needs at least two")
    difference = np.where(np.isclose(pairs[:, 0], pairs[:, 1], rtol=1e-9, atol=1e-12), 0, pairs[:, 0] - pairs[:, 1])
    mean, deviation = difference.mean(), difference.std(ddof=1)
    constant = np.ptp(difference) <= 1e-9 * np.abs(difference).max()
    if constant:  # where neither test is defined; a shift that all users share is as significant as can be
        effect, half, p_t = (np.copysign(np.inf, mean) if mean else 0.0), 0.0, (0.0 if mean else 1.0)
    else:
        effect, half = mean / deviation, stats.t.ppf(0.975, n - 1) * deviation / np.sqrt(n)
        p_t = stats.ttest_1samp(difference, 0).pvalue
    return Comparison(
        n_users=n,
        mean_a=float(pairs[:, 0].mean()),
        mean_b=float(pairs[:, 1].mean()),
        low=float(mean - half),
        high=float(mean + half),
        effect=float(effect),
        p_t=float(p_t),
        p_wilcoxon=_wilcoxon(difference),
    )


def _wilcoxon(difference: np.ndarray) -> float:
    """p of the signed-rank test: exact for up to 50 users where neither zeros nor ties forbid it."""
    difference = difference.round(12)  # 0.3 - 0.2 and 0.2 - 0.1 are a tie
    if not difference.any():
        return 1.0
    sizes = np.abs(difference)
    untied = len(np.unique(sizes)) == len(sizes) and sizes.all()
    method = "exact" if untied and len(sizes) <= 50 else "approx"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sample size too small", UserWarning)  # the table has their number
        return float(stats.wilcoxon(difference, zero_method="pratt", method=method).pvalue)


def compare_all(
    models: Mapping[str, Sequence[pd.DataFrame]], metrics: Sequence[str], reference: str | None = None
) -> pd.DataFrame:
    """Compare all pairs of models, or one model with all others, in some metrics.

    p-values are corrected for the number of pairs, within each metric and test.

    Args:
        models: Name of each model -> the results of its users, one frame for each seed.
        metrics: Names of metrics.
        reference: A model; None for all pairs.

    Returns:
        A row for each metric and pair: ``metric``, ``a``, ``b``, the fields of :class:`Comparison`, and for both tests
        (``t``, ``wilcoxon``) the corrected p-values ``p_t_bonferroni``, ``p_t_holm`` and so on.

    Raises:
        DataError: A model lacks a metric, or a pair has no users in common.
    """
    pairs = list(combinations(models, 2))
    if reference is not None:
        pairs = [(reference, name) for name in models if name != reference]
    rows = []
    for metric in metrics:
        means = {name: user_means(runs, metric) for name, runs in models.items()}
        found = [{"metric": metric, "a": a, "b": b, **vars(compare(means[a], means[b]))} for a, b in pairs]
        for test in ("p_t", "p_wilcoxon"):
            for method in ("bonferroni", "holm"):
                corrected = multipletests([row[test] for row in found], method=method)[1] if found else []
                for row, p in zip(found, corrected, strict=True):
                    row[f"{test}_{method}"] = float(p)
        rows += found
    return pd.DataFrame(rows)
