from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from recbole_sibrar.plotting.style import COLOURS, line_names, save_figure
from recbole_sibrar.studies.missing.plots import missing_curves


def study(*checkpoints: tuple[str, str]) -> pd.DataFrame:
    """Rows as a study makes them: rates 0, 0.5 (two seeds) and 1, and one subset."""
    rows = []
    for i, (model, checkpoint) in enumerate(checkpoints):
        for experiment, rate, seed, share, value in (
            ("loss", 0.0, 1, 0.0, 0.4),
            ("loss", 0.5, 1, 0.48, 0.2),
            ("loss", 0.5, 2, 0.54, 0.3),
            ("loss", 1.0, 1, 1.0, 0.1),
            ("subset", float("nan"), 1, 0.7, 0.9),
        ):
            about = {
                "model": model,
                "checkpoint": checkpoint,
                "side": "item",
                "experiment": experiment,
            }
            rows.append(
                {**about, "rate": rate, "seed": seed, "share_missing": share, "ndcg@10": value + i}
            )
    return pd.DataFrame(rows)


def test_lines_go_through_the_means() -> None:
    (axes,) = missing_curves(study(("SiBraR", "a.pth")), "ndcg@10").axes
    (container,) = axes.containers
    line, _, (bars,) = container
    np.testing.assert_allclose(line.get_xdata(), [0, 0.51, 1])
    np.testing.assert_allclose(line.get_ydata(), [0.4, 0.25, 0.1])
    ends = [segment[:, 1] for segment in bars.get_segments()]
    deviation = np.sqrt(0.05**2 + 0.05**2)
    np.testing.assert_allclose(ends, [[0.4, 0.4], [0.25 - deviation, 0.25 + deviation], [0.1, 0.1]])
    assert axes.get_xlabel() == "share of item modality values missing"
    assert axes.get_ylabel() == "nDCG@10"


def test_lines_differ_and_name_models() -> None:
    frame = study(
        ("SiBraR", "saved/a.pth"), ("MuBraR", "saved/b.pth"), ("DropoutNet", "saved/c.pth")
    )
    figure = missing_curves(frame, "ndcg@10")
    (axes,) = figure.axes
    lines = [container[0] for container in axes.containers]
    for look in ("color", "marker", "linestyle"):
        assert len({str(getattr(line, f"get_{look}")()) for line in lines}) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "SiBraR",
        "MuBraR",
        "DropoutNet",
    ]
    assert [line.get_color() for line in lines] == list(COLOURS[:3])


def test_equal_models_are_named_by_file() -> None:
    assert line_names(
        study(("SiBraR", "x/a.pth"), ("SiBraR", "x/b.pth"), ("MuBraR", "x/c.pth"))
    ) == {
        "x/a.pth": "SiBraR (a.pth)",
        "x/b.pth": "SiBraR (b.pth)",
        "x/c.pth": "MuBraR",
    }
    assert list(line_names(study(("SiBraR", "x/a.pth"), ("SiBraR", "y/a.pth"))).values()) == [
        "SiBraR (x/a.pth)",
        "SiBraR (y/a.pth)",
    ]


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_figures_are_written_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    file = tmp_path / f"missing.{suffix}"
    file.write_text("old")
    with caplog.at_level(logging.INFO):
        save_figure(missing_curves(study(("SiBraR", "a.pth")), "ndcg@10"), file)
    assert list(tmp_path.iterdir()) == [file]
    assert not caplog.records
    if suffix == "pdf":
        assert file.read_bytes().startswith(b"%PDF")
    else:
        pixels = imread(file)
        assert pixels.shape[1] >= 1500  # 5 inches at 300 dots
        assert (
            np.abs(pixels[:, :, :3] - np.array([0, 0x72, 0xB2]) / 255).max(-1) < 0.02
        ).sum() > 1000
