from __future__ import annotations

import gc
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.studies.significance.measures import compare, compare_all, user_means


def series(values: np.ndarray) -> pd.Series:
    return pd.Series(values, index=[f"u{i}" for i in range(len(values))])


def frame(
    values: np.ndarray, metric: str = "ndcg@10", users: list[str] | None = None
) -> pd.DataFrame:
    users = users or [f"u{i}" for i in range(len(values))]
    return pd.DataFrame({"user_id": users, metric: values, "items": [["i1"]] * len(values)})


@pytest.mark.parametrize(("n", "shift"), [(40, 0.0), (40, 0.1), (500, 0.02), (3000, 0.01)])
def test_equals_scipy_and_statsmodels(n: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    first = rng.random(n)
    second = first - shift + rng.normal(0, 0.1, n)
    result, difference = compare(series(first), series(second)), first - second
    assert result.n_users == n
    assert (result.mean_a, result.mean_b) == pytest.approx((first.mean(), second.mean()))
    assert result.p_t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert result.p_wilcoxon == pytest.approx(
        stats.wilcoxon(first, second, zero_method="pratt").pvalue
    )
    assert (result.low, result.high) == pytest.approx(DescrStatsW(difference).tconfint_mean(0.05))
    assert (result.low, result.high) == pytest.approx(
        stats.ttest_rel(first, second).confidence_interval(0.95)
    )
    assert result.effect == pytest.approx(difference.mean() / np.std(difference, ddof=1))


def test_a_known_effect_is_found() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(0.5, 0.2, 4000)
    result = compare(series(first), series(first - rng.normal(0.05, 0.1, 4000)))
    assert result.effect == pytest.approx(0.5, abs=0.05)
    assert result.low < 0.05 < result.high
    assert result.high - result.low < 0.01
    assert result.p_t < 1e-50
    assert result.p_wilcoxon < 1e-50


def test_swapped_models_swap_the_sign() -> None:
    rng = np.random.default_rng(2)
    first, second = series(rng.random(30)), series(rng.random(30))
    one, other = compare(first, second), compare(second, first)
    assert (one.low, one.effect) == pytest.approx((-other.high, -other.effect))
    assert (one.p_t, one.p_wilcoxon) == pytest.approx((other.p_t, other.p_wilcoxon))


def test_unchanged_users_are_only_ranked() -> None:
    rng = np.random.default_rng(3)
    difference = np.where(rng.random(200) < 0.6, 0.0, rng.choice([-0.5, 0.25, 0.5, 1.0], 200))
    second = rng.integers(0, 3, 200).astype(float)
    result = compare(series(second + difference), series(second))
    assert result.p_wilcoxon == pytest.approx(
        stats.wilcoxon(difference, zero_method="pratt", correction=False).pvalue
    )
    changed = difference[difference != 0]
    assert result.p_wilcoxon != pytest.approx(stats.wilcoxon(changed).pvalue)


def test_equal_steps_are_ties() -> None:
    second = np.arange(1, 13) / 10
    steps = np.array([0.1, 0.1, -0.1, 0.1, 0.2, 0.2, -0.2, 0.1, 0.3, 0.3, 0.1, 0.2])
    exact = compare(series((10 * (second + steps)).round()), series((10 * second).round()))
    assert len(np.unique(np.abs(second + steps - second))) > 3
    assert compare(series(second + steps), series(second)).p_wilcoxon == pytest.approx(
        exact.p_wilcoxon
    )


def test_identical_models_do_not_differ() -> None:
    values = series(np.random.default_rng(4).random(50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(values, values)
    assert (result.p_t, result.p_wilcoxon, result.effect, result.low, result.high) == (
        1,
        1,
        0,
        0,
        0,
    )


def test_order_of_seeds_is_irrelevant() -> None:
    rng = np.random.default_rng(5)
    runs = [frame(rng.random(2000)) for _ in range(3)]
    first, second = user_means(runs, "ndcg@10"), user_means([runs[2], runs[0], runs[1]], "ndcg@10")
    assert (first != second).any()  # in the last digit
    assert compare(first, second).p_t == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_common_shift_is_significant(sign: int) -> None:
    values = series(np.arange(1, 60) / 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(values + sign * 0.1, values)
    assert result.effect == sign * np.inf
    assert result.p_t == 0
    assert result.p_wilcoxon < 1e-6
    assert (result.low, result.high) == pytest.approx((sign * 0.1, sign * 0.1))


def test_only_shared_users_count() -> None:
    first = pd.Series([0.1, 0.5, 0.9, 0.3], index=["a", "b", "c", "d"])
    second = pd.Series([0.2, 0.4, 0.1, 0.0], index=["c", "x", "b", "a"])  # in another order
    result = compare(first, second)
    assert result.n_users == 3
    assert result.mean_a == pytest.approx(0.5)
    assert result.mean_b == pytest.approx(0.1)
    assert result.p_t == pytest.approx(stats.ttest_rel([0.1, 0.5, 0.9], [0.0, 0.1, 0.2]).pvalue)


@pytest.mark.parametrize("users", [[], ["a"]])
def test_fewer_than_two_shared_users(users: list[str]) -> None:
    first = pd.Series([0.1, 0.5], index=["a", "b"])
    with pytest.raises(
        DataError, match=rf"^significance: {len(users)} users have results of both models"
    ):
        compare(first, pd.Series([0.1] * len(users), index=users, dtype=float))


def test_users_have_means_over_seeds() -> None:
    runs = [
        frame(np.array([0.2, np.nan, np.nan, 0.5]), users=["a", "b", "c", "d"]),
        frame(np.array([0.4, 0.6, np.nan]), users=["a", "b", "c"]),
    ]
    assert user_means(runs, "ndcg@10").to_dict() == pytest.approx({"a": 0.3, "b": 0.6, "d": 0.5})


def test_missing_metric_and_double_user() -> None:
    run = frame(np.array([0.1, 0.2]))
    with pytest.raises(DataError, match=r"^metric: found 'mrr@10', allowed is any of ndcg@10$"):
        user_means([run], "mrr@10")
    with pytest.raises(DataError, match=r"^results of users: user 'u' occurs twice$"):
        user_means([frame(np.array([0.1, 0.2]), users=["u", "u"])], "ndcg@10")


@pytest.mark.slow
def test_corrections_equal_statsmodels() -> None:
    rng = np.random.default_rng(6)
    base = rng.random((2, 80))
    models = {}
    for name, shift in {"a": 0.0, "b": 0.03, "c": 0.05}.items():
        values = base + shift + rng.normal(0, 0.1, base.shape)
        run = frame(values[0]).assign(mrr=values[1])
        models[name] = [run]
    table = compare_all(models, ["ndcg@10", "mrr"])
    assert list(zip(table["metric"], table["a"], table["b"], strict=True)) == [
        (metric, *pair)
        for metric in ("ndcg@10", "mrr")
        for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    for metric, rows in table.groupby("metric"):
        pairs = [
            (models[a][0][metric], models[b][0][metric])
            for a, b in zip(rows["a"], rows["b"], strict=True)
        ]
        assert rows["p_t"].tolist() == pytest.approx(
            [stats.ttest_rel(*pair).pvalue for pair in pairs]
        )
        assert rows["p_wilcoxon"].tolist() == pytest.approx(
            [stats.wilcoxon(*pair).pvalue for pair in pairs]
        )
        for test in ("t", "wilcoxon"):
            for method in ("bonferroni", "holm"):
                expected = multipletests(rows[f"p_{test}"], method=method)[1]
                assert rows[f"p_{test}_{method}"].tolist() == pytest.approx(list(expected))
        assert (rows["p_t_holm"] <= rows["p_t_bonferroni"]).all()
        assert rows["p_t_bonferroni"].tolist() == pytest.approx(
            np.minimum(1, 3 * rows["p_t"]).tolist()
        )


def test_reference_needs_less_correction() -> None:
    rng = np.random.default_rng(7)
    models = {name: [frame(rng.random(30))] for name in "abcd"}
    table = compare_all(models, ["ndcg@10"], "c")
    assert list(zip(table["a"], table["b"], strict=True)) == [("c", "a"), ("c", "b"), ("c", "d")]
    assert table["p_t_bonferroni"].tolist() == pytest.approx(
        np.minimum(1, 3 * table["p_t"]).tolist()
    )
    assert len(compare_all({"a": models["a"]}, ["ndcg@10"])) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["continuous", "few values"])
def test_equal_models_at_level_five_percent(kind: str) -> None:
    rng = np.random.default_rng(8)
    n_cases, n_users = 500, 60
    found = np.zeros(2)
    for _ in range(n_cases):
        if kind == "continuous":
            first, second = rng.normal(size=(2, n_users))
        else:  # as precision@5 has them, with many users without any difference
            first, second = rng.binomial(5, 0.3, size=(2, n_users)) / 5
        result = compare(series(first), series(second))
        found += [result.p_t < 0.05, result.p_wilcoxon < 0.05]
    margin = 3 * np.sqrt(0.05 * 0.95 / n_cases)
    assert np.abs(found / n_cases - 0.05).max() < margin


@pytest.mark.slow
def test_correction_keeps_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # statsmodels calls it for every correction, which takes a while
    monkeypatch.setattr(gc, "collect", lambda: 0)
    rng = np.random.default_rng(9)
    n_cases = 150
    found = 0
    for _ in range(n_cases):
        table = compare_all({name: [frame(rng.normal(size=30))] for name in "abcd"}, ["ndcg@10"])
        found += (table["p_t_bonferroni"] < 0.05).any()
    assert found / n_cases < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_cases)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([0, 0.2, 0.5, 1])] * 2), min_size=2, max_size=60))
def test_any_values_give_defined_results(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs, dtype=float).T
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(series(first), series(second))
    assert 0 <= result.p_t <= 1
    assert 0 <= result.p_wilcoxon <= 1
    assert result.low <= result.mean_a - result.mean_b + 1e-12
    assert result.high >= result.mean_a - result.mean_b - 1e-12
    assert not np.isnan(result.effect)
