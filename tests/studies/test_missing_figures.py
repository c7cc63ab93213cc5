from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from recbole_sibrar.plotting.colours import model_colours
from recbole_sibrar.plotting.style import line_names, save_figure
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
    ends = [segment[:, 1] for segment in bars.get_segments() if len(segment)]
    deviation = np.sqrt(0.05**2 + 0.05**2)
    np.testing.assert_allclose(ends, [[0.25 - deviation, 0.25 + deviation]])  # two draws alone
    assert axes.get_xlabel() == "share of item modality values missing"
    assert axes.get_ylabel() == "nDCG@10"


def test_lines_differ_and_name_models() -> None:
    frame = study(
        ("SiBraR", "saved/a.pth"), ("MuBraR", "saved/b.pth"), ("DropoutNet", "saved/c.pth")
    )
    figure = missing_curves(frame, "ndcg@10")
    (axes,) = figure.axes
    colours = {text.get_text(): text.get_color() for text in axes.texts}  # names beside the lines
    page = model_colours({name: name for name in ("SiBraR", "MuBraR", "DropoutNet")})
    assert colours == {name: colour.light for name, colour in page.items()}
    assert [container[0].get_color() for container in axes.containers] == [
        colours[name] for name in ("SiBraR", "MuBraR", "DropoutNet")
    ]
    assert len(set(colours.values())) == 3


def test_a_model_keeps_its_colour_alone() -> None:
    both = missing_curves(study(("MuBraR", "a.pth"), ("SiBraR", "b.pth")), "ndcg@10").axes[0]
    alone = missing_curves(study(("SiBraR", "b.pth")), "ndcg@10").axes[0]
    assert both.containers[1][0].get_color() == alone.containers[0][0].get_color()


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
