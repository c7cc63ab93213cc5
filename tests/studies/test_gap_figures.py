from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.evaluator.embeddings import ModalityEmbeddings
from recbole_sibrar.studies.gap import plots
from recbole_sibrar.studies.gap import tables as gap
from recbole_sibrar.studies.gap.measures import measure_gap

NAMES = ("text", "image", "tags")


@pytest.fixture
def sample() -> ModalityEmbeddings:
    """60 items; every fifth has no image, every seventh no tags."""
    embeddings = np.random.default_rng(3).normal(size=(60, 3, 5)) + 1
    available = np.ones((60, 3), dtype=bool)
    available[::5, 1] = available[::7, 2] = False
    return ModalityEmbeddings(NAMES, np.arange(1, 61), embeddings, available)


@pytest.fixture
def frame(sample: ModalityEmbeddings) -> pd.DataFrame:
    measured = measure_gap(sample.embeddings, sample.available, NAMES)
    return pd.concat(
        [measured.assign(name=name, side="item", items="all") for name in ("first", "second_one")]
    )


def test_points_are_cells_lines_are_items(sample: ModalityEmbeddings) -> None:
    figure = plots.projection({"first": sample, "second": sample})
    panels = figure.axes
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in panels}) == 1
    lines, *clouds = panels[0].collections
    placed = {cloud.get_label(): np.asarray(cloud.get_offsets()) for cloud in clouds}
    assert {name: (~np.isnan(points)).all(1).sum() for name, points in placed.items()} == dict(
        zip(NAMES, sample.available.sum(0), strict=True)
    )
    counts = sample.available.sum(1)
    assert len(lines.get_segments()) == (counts * (counts - 1) // 2).sum()


def test_pca_keeps_distances_of_a_plane() -> None:
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 50)
    plane = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2)))[0]
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points, about = plots.project(5 * circle @ plane.T, "pca", 0)
    assert about == "100% of the variance"
    np.testing.assert_allclose(points - points.mean(0) @ np.eye(2), points, atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(points[:, None] - points[None], axis=2),
        np.linalg.norm(circle[:, None] - circle[None], axis=2),
    )


def test_histograms_count_pairs_once(sample: ModalityEmbeddings) -> None:
    figure = plots.histograms({"first": sample, "second": sample}, "user")
    assert len(figure.axes) == 3 * 2
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    both = sample.available[:, 0] & sample.available[:, 1]
    same, different = plots.cosine_distances(sample, 0, 1)
    assert (len(same), len(different)) == (both.sum(), both.sum() * (both.sum() - 1))
    outlines = [patch.get_xy() for patch in figure.axes[0].patches]
    shares = [corners[:, 1].sum() / 2 for corners in outlines]  # two corners at each height
    assert shares == pytest.approx([1, 1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "same user",
        "different users",
    ]


def test_heat_map_shows_distances(frame: pd.DataFrame) -> None:
    figure = plots.heat_map(frame)
    same, _, different, _ = (axes.images[0].get_array() for axes in figure.axes[:4])
    rows = frame[frame["name"] == "first"].set_index(["first", "second", "measure"])["value"]
    for i, first in enumerate(NAMES):
        assert same[i, i] == 0
        for j in range(i, 3):
            assert different[i, j] == different[j, i] == rows[first, NAMES[j], "cosine_different"]
            assert i == j or same[i, j] == same[j, i] == rows[first, NAMES[j], "cosine_same"]


def test_a_series_shows_means_over_the_pairs() -> None:
    rows = [
        {
            "epochs": epochs,
            "side": "item",
            "first": "text",
            "second": second,
            "measure": measure,
            "value": value,
        }
        for measure in plots.SERIES_MEASURES
        for epochs, second, value in (
            (0, "image", 1.0),
            (0, "tags", 0.5),
            (2, "image", 0.4),
            (2, "tags", 0.2),
        )
    ]
    figure = plots.series({"run": pd.DataFrame(rows)}, "item")
    assert len(figure.axes) == 4
    for axes in figure.axes:
        np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0, 0.75], [2, 0.3]])


def test_tables_have_checkpoint_columns(frame: pd.DataFrame) -> None:
    shown = gap.side_by_side(frame)
    assert list(shown.columns) == ["modalities", "measure", "first", "second_one"]
    assert (shown["first"] == shown["second_one"]).all()
    assert r"second\_one" in gap.latex(frame)
    assert "text - image" in gap.table(frame)
    lacking = frame[(frame["name"] == "first") | (frame["first"] == "text")]
    assert "" in set(gap.side_by_side(lacking)["second_one"])
