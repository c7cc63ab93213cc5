"""Texts of figures in files lie within the figure and apart, whatever the names and the values."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from recbole_sibrar.plotting.chart import Chart, Kind, Level, Series
from recbole_sibrar.plotting.chart_file import draw
from recbole_sibrar.plotting.colours import model_colours

NAMES = (
    "SiBraR",
    "SiBraR contrastive_temperature=0.125,user_modalities=none",
    "SiBraR without contrast",
    "MuBraR",
    "BPR",
    "Pop",
)


def chart(kind: Kind, values: list[float]) -> Chart:
    """One dot for each name, or a line from 0 to its value."""
    colours = model_colours(dict.fromkeys(NAMES, "SiBraR"))
    series = []
    for name, value in zip(NAMES, values, strict=True):
        x = [name] if kind == "dots" else [0, 1]
        y = [value] if kind == "dots" else [0.0, value]
        series.append(Series(name, name, colours[name], x, y))
    return Chart("a", "", "", kind, "", "difference in nDCG@10", series, [Level("chance", 0.0)])


def drawn_texts(figure: Figure) -> list[Text]:
    """Numbers and names along the axes, titles of the axes, names beside lines and above levels."""
    (axes,) = figure.axes
    texts = [*axes.texts, axes.xaxis.label, axes.yaxis.label]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [text for text in texts if text.get_text()]


@pytest.mark.parametrize("kind", ["dots", "line"])
@pytest.mark.parametrize("scale", [-0.175, 0.000123, 0.3, 4567.0])
def test_texts_are_whole_and_apart(kind: Kind, scale: float) -> None:
    figure = draw(chart(kind, [scale * (1 - 0.1 * i) for i in range(len(NAMES))]))
    figure.canvas.draw()
    found = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    width, height = figure.bbox.width, figure.bbox.height
    assert len(found) > len(NAMES)

    for text, box in found:
        assert min(box.x0, box.y0) > -1, text
        assert box.x1 < width + 1, text
        assert box.y1 < height + 1, text
    assert [(a, b) for (a, x), (b, y) in combinations(found, 2) if x.overlaps(y)] == []
