"""A model has one colour: on the page, in the PNG and in the PDF."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from recbole_sibrar.plotting.colours import model_colours
from recbole_sibrar.report import build as report

MODELS = {"SiBraR": "SiBraR", "<b>A & $B$</b>": "SiBraR", "Pop": "Pop"}


def painted(pdf: Path) -> set[tuple[float, ...]]:
    """Colours of lines and areas in a PDF, as shares of red, green and blue."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf.read_bytes(), re.DOTALL)
    found = set()
    for stream in streams:
        try:
            text = zlib.decompress(stream).decode("latin-1")
        except zlib.error:  # a font
            continue
        for numbers in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) (?:rg|RG)\b", text):
            found.add(tuple(round(float(number), 2) for number in numbers))
    return found


@pytest.mark.slow
def test_a_model_has_one_colour(comparison: Path, tmp_path: Path) -> None:
    page, _ = report.run(comparison, figures=tmp_path / "figures")
    text = page.read_text(encoding="utf-8")
    for name, colour in model_colours(MODELS).items():
        assert f"light-dark({colour.light},{colour.dark})" in text, name
        shares = to_rgb(colour.light)
        for figure in ("results-ndcg-10", "curve-ndcg-10", "cost-minutes"):
            file = tmp_path / "figures" / figure
            pixels = imread(file.with_suffix(".png"))[:, :, :3]
            near = np.abs(pixels - np.array(shares)).max(-1) < 0.01
            assert near.sum() > 100, (name, figure)
            assert tuple(round(x, 2) for x in shares) in painted(file.with_suffix(".pdf")), name
