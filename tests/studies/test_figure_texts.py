"""Texts of the figures of studies lie within the figure, whatever the names."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from recbole_sibrar.evaluator.embeddings import ModalityEmbeddings
from recbole_sibrar.studies.gap import plots

MODALITIES = (
    "interactions",
    "image",
    "description of the item",
    "genres",
    "price",
    "year",
    "audio",
    "directors",
)
MODELS = (
    "SiBraR without the contrastive loss (sibrar-without-contrast-2026.pth)",
    "MuBraR",
    "a_name_of_one_very_long_word_without_any_space_at_all_at_all_at_all",
    "SiBraR alpha=0.00123456789",
    "DropoutNet",
    "CLCRec",
)


def _samples(n_models: int, n_modalities: int) -> dict[str, ModalityEmbeddings]:
    generator = np.random.default_rng(0)
    found = {}
    for name in MODELS[:n_models]:
        values = generator.normal(size=(20, n_modalities, 4))
        found[name] = ModalityEmbeddings(
            MODALITIES[:n_modalities], np.arange(20), values, np.ones((20, n_modalities), bool)
        )
    return found


def _gaps(n_models: int, n_modalities: int) -> pd.DataFrame:
    rows = []
    for name in MODELS[:n_models]:
        for first, second in combinations(MODALITIES[:n_modalities], 2):
            for measure in ("cosine_same", "cosine_different"):
                rows.append(
                    {
                        "name": name,
                        "first": first,
                        "second": second,
                        "measure": measure,
                        "value": 0.5,
                    }
                )
    return pd.DataFrame(rows).assign(side="item")


def _outside(figure: Figure) -> list[str]:
    """Texts that leave the figure, or overlap the title beside them."""
    figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height
    # with all texts of the axes
    parts = {f"axes {i}": axes.get_tightbbox() for i, axes in enumerate(figure.axes)}
    parts |= {f"legend {i}": legend.get_window_extent() for i, legend in enumerate(figure.legends)}
    parts |= {
        text.get_text(): text.get_window_extent()
        for text in figure.findobj(Text)
        if text.figure and not text.axes
    }
    wrong = [
        name
        for name, box in parts.items()
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]

    boxes = [(axes.title.get_text(), axes.title.get_window_extent()) for axes in figure.axes]
    titles = [(text, box) for text, box in boxes if text]
    return wrong + [f"{a} | {b}" for (a, x), (b, y) in combinations(titles, 2) if x.overlaps(y)]


@pytest.mark.slow
@pytest.mark.parametrize("n_models", range(1, 7))
@pytest.mark.parametrize("n_modalities", [2, 3, 5, 8])
def test_projection_texts_are_whole(n_models: int, n_modalities: int) -> None:
    assert _outside(plots.projection(_samples(n_models, n_modalities))) == []


@pytest.mark.slow
@pytest.mark.parametrize("n_models", [1, 2, 6])
@pytest.mark.parametrize("n_modalities", [2, 5])
def test_other_gap_texts_are_whole(n_models: int, n_modalities: int) -> None:
    assert _outside(plots.histograms(_samples(n_models, n_modalities))) == []
    assert _outside(plots.heat_map(_gaps(n_models, n_modalities))) == []


def test_heat_maps_of_six_models_fit_a_page() -> None:
    figure = plots.heat_map(_gaps(6, 3))
    heads = [axes.get_title().split("\n")[-1] for axes in figure.axes[:-1]]  # the last is the scale
    assert heads == [which for which in ("same item", "different items") * 2 for _ in range(3)]
    assert figure.get_figwidth() < 11


def test_eight_modalities_differ_in_look() -> None:
    figure = plots.projection(_samples(1, 8))
    looks = {
        (tuple(x.get_facecolor()[0]), x.get_paths()[0].vertices.tobytes())
        for x in figure.axes[0].collections[1:]
    }
    assert len(looks) == 8
