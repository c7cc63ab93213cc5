"""Projections of the modalities as a table, for figures made later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recbole_sibrar.evaluator.embeddings import ModalityEmbeddings
from recbole_sibrar.studies.gap.plots import project

__all__ = ["COLUMNS", "N_ITEMS", "projected_points"]

COLUMNS = ("name", "model", "checkpoint", "modality", "x", "y", "about")
"""Columns of the table."""

N_ITEMS = 150
"""Largest number of items of a checkpoint; more would hide each other in a small figure."""


def projected_points(sample: ModalityEmbeddings, about: Sequence[str]) -> pd.DataFrame:
    """Project some items of one model into the plane of most variance.

    Args:
        sample: Embeddings of items with two modalities or more.
        about: Name, model and checkpoint, for the first columns.

    Returns:
        A row for each modality of each item, with :data:`COLUMNS`.
    """
    points, variance = project(sample.embeddings[sample.available], "pca", 0)
    # Rows of points are the available cells, in this order.
    items, modalities = np.nonzero(sample.available)
    n_items = len(sample.entities)
    chosen = np.linspace(0, n_items - 1, min(N_ITEMS, n_items)).astype(int)
    shown = np.isin(items, chosen)
    columns = {
        **dict(zip(COLUMNS, about, strict=False)),
        "modality": np.asarray(sample.names)[modalities[shown]],
        "x": points[shown, 0].round(4),
        "y": points[shown, 1].round(4),
        "about": variance,
    }
    return pd.DataFrame(columns)
