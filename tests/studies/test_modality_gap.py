from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances

from recbole_sibrar.studies.gap import values as gap_values
from recbole_sibrar.studies.gap.measures import COLUMNS, measure_gap, sample_size

NAMES = ("text", "image", "tags")
RETRIEVAL = ("recall@1", "recall@10", "mrr", "recall@1_reverse", "recall@10_reverse", "mrr_reverse")


def pair(frame: pd.DataFrame, first: str = "text", second: str = "image") -> pd.Series:
    """Measure -> value of two modalities."""
    rows = frame[(frame["first"] == first) & (frame["second"] == second)]
    return rows.set_index("measure")["value"]


def everything(embeddings: np.ndarray) -> np.ndarray:
    return np.ones(embeddings.shape[:2], dtype=bool)


@pytest.fixture
def cells() -> np.ndarray:
    """300 items, three modalities that resemble each other, away from the origin."""
    rng = np.random.default_rng(1)
    return (
        rng.normal(size=(300, 1, 6)) + 0.7 * rng.normal(size=(300, 3, 6)) + rng.normal(size=(3, 6))
    )


def test_identical_modalities_have_no_gap() -> None:
    embeddings = np.repeat(np.random.default_rng(0).normal(size=(200, 1, 8)), 3, axis=1)
    frame = measure_gap(embeddings, everything(embeddings), NAMES)
    for first, second in combinations(NAMES, 2):
        values = pair(frame, first, second)
        zeros = [
            "cosine_same",
            "cosine_ratio",
            "euclidean_same",
            "euclidean_ratio",
            "centroid_distance",
            "alignment",
        ]
        assert (values[zeros] == 0).all()
        np.testing.assert_allclose(values[list(RETRIEVAL)], 1, rtol=1e-12)
    values = pair(frame, "", "")
    assert (
        values["classifier_accuracy"]
        == pytest.approx(1 / 3, abs=1e-12)
        == values["classifier_chance"]
    )


def test_separated_clouds() -> None:
    """Chance with 400 items: recall k / 400, MRR the 400th harmonic number / 400."""
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=(400, 2, 5))
    embeddings[:, 1, 0] += 30
    frame = measure_gap(embeddings, everything(embeddings), NAMES[:2])
    values = pair(frame)
    for k in (1, 10):
        for way in ("", "_reverse"):
            assert abs(values[f"recall@{k}{way}"] - k / 400) < 5 * np.sqrt(k / 400 / 400)
    assert values["mrr"] == pytest.approx(np.sum(1 / np.arange(1, 401)) / 400, abs=0.02)
    assert values["euclidean_ratio"] == pytest.approx(1, abs=0.01)
    assert values["centroid_ratio"] > 0.9
    assert pair(frame, "", "")["classifier_accuracy"] == 1


def test_measures_equal_scipy_and_sklearn(cells: np.ndarray) -> None:
    values = pair(measure_gap(cells, everything(cells), NAMES))
    x, y = cells[:, 0], cells[:, 1]
    others = ~np.eye(len(x), dtype=bool)
    for kind, distances in (
        ("cosine", cosine_distances(x, y)),
        ("euclidean", euclidean_distances(x, y)),
    ):
        assert values[f"{kind}_same"] == pytest.approx(np.diagonal(distances).mean())
        assert values[f"{kind}_different"] == pytest.approx(distances[others].mean())
        assert values[f"{kind}_ratio"] == pytest.approx(
            np.diagonal(distances).mean() / distances[others].mean()
        )
    centroids = np.linalg.norm(x.mean(0) - y.mean(0))
    assert values["centroid_distance"] == pytest.approx(centroids)
    assert values["centroid_ratio"] == pytest.approx(centroids / cdist(x, y)[others].mean())
    similarity = 1 - cosine_distances(x, y)
    for way, scores in (("", similarity), ("_reverse", similarity.T)):
        assert values[f"mrr{way}"] == pytest.approx(
            label_ranking_average_precision_score(np.eye(len(x)), scores)
        )
        ranks = (scores > np.diagonal(scores)[:, None]).sum(1)
        for k in (1, 10):
            assert values[f"recall@{k}{way}"] == pytest.approx((ranks < k).mean())
    units = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y)]
    squares = cdist(*units, "sqeuclidean")
    assert values["alignment"] == pytest.approx(np.diagonal(squares).mean())
    assert values["uniformity"] == pytest.approx(np.log(np.exp(-2 * squares[others]).mean()))


def test_rows_within_one_modality(cells: np.ndarray) -> None:
    """Uniformity as in the paper: of all pairs of different items of one modality."""
    values = pair(measure_gap(cells, everything(cells), NAMES), "tags", "tags")
    x = cells[:, 2]
    pairs = np.triu_indices(len(x), 1)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert values["euclidean_different"] == pytest.approx(cdist(x, x)[pairs].mean())
    assert values["cosine_different"] == pytest.approx(cdist(x, x, "cosine")[pairs].mean())
    assert values["uniformity"] == pytest.approx(
        np.log(np.exp(-2 * cdist(units, units, "sqeuclidean")[pairs]).mean())
    )
    assert list(values.index) == ["items", "cosine_different", "euclidean_different", "uniformity"]


def test_rotation_and_scale(cells: np.ndarray) -> None:
    before = measure_gap(cells, everything(cells), NAMES)
    turned = measure_gap(cells @ ortho_group.rvs(6, random_state=3), everything(cells), NAMES)
    is_classifier = before["measure"] == "classifier_accuracy"  # its penalty knows the axes
    np.testing.assert_allclose(
        turned["value"][~is_classifier], before["value"][~is_classifier], rtol=1e-9
    )
    np.testing.assert_allclose(
        turned["value"][is_classifier], before["value"][is_classifier], atol=0.03
    )
    scaled = measure_gap(7 * cells, everything(cells), NAMES)
    lengths = before["measure"].isin(["euclidean_same", "euclidean_different", "centroid_distance"])
    np.testing.assert_allclose(
        scaled["value"], before["value"] * np.where(lengths, 7, 1), rtol=1e-9
    )


def test_missing_cells_are_ignored(cells: np.ndarray) -> None:
    available = np.random.default_rng(5).random(cells.shape[:2]) < 0.8
    spoilt = np.where(available[..., None], cells, np.nan)
    frame = measure_gap(spoilt, available, NAMES)
    both = available[:, 0] & available[:, 2]
    values = pair(frame, "text", "tags")
    assert values["items"] == both.sum()
    assert values["euclidean_same"] == pytest.approx(
        np.linalg.norm(cells[both, 0] - cells[both, 2], axis=1).mean()
    )
    complete = measure_gap(cells[both][:, [0, 2]], np.ones((both.sum(), 2), bool), ("text", "tags"))
    pd.testing.assert_series_equal(pair(complete, "text", "tags"), values)


def test_equal_embeddings_share_recall() -> None:
    """Items of four kinds with 25 items each: the right one is any of 25, and all others are farther away."""
    embeddings = np.repeat(np.repeat(np.eye(4), 25, axis=0)[:, None], 2, axis=1)
    values = pair(measure_gap(embeddings, everything(embeddings), NAMES[:2]))
    assert values["recall@1"] == pytest.approx(1 / 25)
    assert values["recall@10"] == pytest.approx(10 / 25)
    assert values["mrr"] == pytest.approx(np.sum(1 / np.arange(1, 26)) / 25)


@pytest.mark.slow
def test_intervals_hold_the_exact_values() -> None:
    rng = np.random.default_rng(8)
    embeddings = (
        rng.normal(size=(3000, 1, 9))
        + rng.normal(size=(3000, 2, 9)) / 2
        + rng.normal(size=(2, 9)) / 3
    )
    exact = measure_gap(embeddings, everything(embeddings), NAMES[:2])
    assert (exact["low"] == exact["value"]).all()
    assert (exact["high"] == exact["value"]).all()
    inside = []
    for seed in range(10):
        sampled = measure_gap(
            embeddings, everything(embeddings), NAMES[:2], seed=seed, max_items=600
        )
        widths = sampled["high"] - sampled["low"]
        chance = sampled["measure"].isin(["items", "centroid_distance", "classifier_chance"])
        assert (widths[chance] == 0).all()
        assert (widths[~chance] > 0).all()
        compared = ~chance & (sampled["measure"] != "classifier_accuracy")  # of another classifier
        inside.append(
            sampled["low"].le(exact["value"]).mul(sampled["high"].ge(exact["value"]))[compared]
        )
    assert 0.9 <= np.mean(inside) <= 1


def test_samples_depend_on_the_seed(cells: np.ndarray) -> None:
    first, second, third = (
        measure_gap(cells, everything(cells), NAMES, seed=s, max_items=50) for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, second)
    assert (pair(first)[["cosine_same", "mrr"]] != pair(third)[["cosine_same", "mrr"]]).all()


def test_drawn_items_against_all_others() -> None:
    """With one right answer among 5000 at random, recall@10 would be 0.1 if only 100 drawn items were candidates."""
    embeddings = np.random.default_rng(4).normal(size=(5000, 2, 5))
    values = pair(measure_gap(embeddings, everything(embeddings), NAMES[:2], max_items=400))
    assert sample_size(5000, 400) == 100
    assert values["recall@10"] < 0.05
    assert values["items"] == 5000


def test_the_size_of_a_block_changes_nothing(
    cells: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measure_gap(cells, everything(cells), NAMES)
    monkeypatch.setattr(gap_values, "_BLOCK", 7 * len(cells))
    np.testing.assert_allclose(
        measure_gap(cells, everything(cells), NAMES)["value"], before["value"], rtol=1e-12
    )


def test_small_differences_keep_digits() -> None:
    rng = np.random.default_rng(6)
    small = rng.normal(size=(100, 2, 4))
    far = (small + 1000).astype(np.float32)
    values = pair(measure_gap(far, everything(far), NAMES[:2]))
    expected = cdist(far[:, 0].astype(float), far[:, 1].astype(float))[
        ~np.eye(100, dtype=bool)
    ].mean()
    assert values["euclidean_different"] == pytest.approx(expected, rel=1e-5)


def test_only_undefined_values_are_nan() -> None:
    embeddings = np.ones((30, 3, 4))
    available = everything(embeddings)
    available[1:, 2] = False
    frame = measure_gap(embeddings, available, NAMES)
    collapsed = pair(frame)
    assert np.isnan(collapsed["cosine_ratio"])
    assert np.isnan(collapsed["euclidean_ratio"])
    assert collapsed["euclidean_different"] == 0
    assert pair(frame, "text", "tags")["items"] == 1
    assert pair(frame, "text", "tags").drop("items").isna().all()
    few = measure_gap(embeddings[:5], everything(embeddings[:5]), NAMES)
    assert pair(few, "", "").isna().all()


def test_zero_vectors_have_distance_one() -> None:
    embeddings = np.random.default_rng(0).normal(size=(40, 2, 3))
    embeddings[:, 1] = 0
    values = pair(measure_gap(embeddings, everything(embeddings), NAMES[:2]))
    assert values["cosine_same"] == 1
    assert values["cosine_different"] == 1
    assert values["recall@10"] == pytest.approx(10 / 40)


def test_columns_are_as_promised(cells: np.ndarray) -> None:
    frame = measure_gap(cells, everything(cells), NAMES)
    assert (
        list(frame.columns)
        == list(COLUMNS)
        == ["first", "second", "measure", "value", "low", "high"]
    )
    assert not frame.duplicated(["first", "second", "measure"]).any()
    assert frame["first"].isin([*NAMES, ""]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"names": ("text",)},
            r"found embeddings \[300, 3, 6\], availability \[300, 3\] and 1 names, allowed are",
        ),
        ({"available": np.ones((300, 2), bool)}, r"availability \[300, 2\]"),
        ({"max_items": 1}, r"found 3 modalities and max_items 1, allowed are at least 2"),
        (
            {"embeddings": np.full((300, 3, 6), np.inf)},
            r"embeddings of modality 'text' are not finite",
        ),
    ],
)
def test_wrong_input_is_named(cells: np.ndarray, change: dict[str, object], message: str) -> None:
    arguments = {"embeddings": cells, "available": everything(cells), "names": NAMES, **change}
    with pytest.raises(ValueError, match=message):
        measure_gap(**arguments)  # type: ignore[arg-type]
