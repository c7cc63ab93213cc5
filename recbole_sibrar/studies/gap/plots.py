"""Figures of the modality gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain, combinations
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from recbole_sibrar.evaluator.embeddings import ModalityEmbeddings
from recbole_sibrar.plotting.style import COLOURS, LINES, STYLE, look, place_legend, wrapped
from recbole_sibrar.studies.gap.tables import LABELS, pair_name

N_POINTS = 250
"""Largest number of items in a projection; more would hide each other."""

N_BINS = 40
"""Bins of the histograms."""

SERIES_MEASURES = ("cosine_ratio", "centroid_ratio", "mrr", "classifier_accuracy")
"""Measures in the figure of a series."""

_PANEL = 2.7
"""Width and height of a panel of the projection, in inches."""

_HISTOGRAM = 2.4
"""Width of a panel of the histograms, in inches."""

_N_COLUMNS = 3
"""Largest number of panels side by side; more would be too small on a page of A4."""

Samples = Mapping[str, ModalityEmbeddings]
"""Name of a checkpoint -> some of its embeddings."""


def _new(width: float, height: float, layout: Any = "constrained") -> Figure:
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def project(cells: NDArray[Any], method: str, seed: int) -> tuple[NDArray[Any], str]:
    """Project directions of embeddings into two dimensions.

    Args:
        cells: float ``[n, k]``.
        method: ``pca``, ``tsne`` or ``umap``.
        seed: Seed of t-SNE and UMAP.

    Returns:
        float ``[n, 2]``, points of the embeddings at unit length, and a description of the
        projection.
    """
    units = _at_unit_length(cells)
    if method == "pca":
        # The full decomposition draws nothing at random.
        pca = PCA(2, svd_solver="full").fit(units)
        # The shares are 0 / 0 if all points coincide.
        share = np.nan_to_num(pca.explained_variance_ratio_).sum()
        return pca.transform(units), f"{share:.0%} of the variance"

    if method == "tsne":
        # scikit-learn refuses a perplexity of the number of points or more.
        perplexity = min(30, max(1, (len(cells) - 1) // 3))
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        return tsne.fit_transform(units), "t-SNE"

    # Optional; the command has checked its presence.
    umap = import_module("umap")
    reducer = umap.UMAP(2, n_neighbors=min(15, len(cells) - 1), random_state=seed)
    return reducer.fit_transform(units), "UMAP"


def _at_unit_length(cells: NDArray[Any]) -> NDArray[Any]:
    """Divide vectors ``[n, k]`` by their lengths; zeros stay zeros."""
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)  # [n, 1]
    units: NDArray[Any] = cells / np.maximum(lengths, 1e-12)
    return units


def projection(samples: Samples, method: str = "pca", seed: int = 0) -> Figure:
    """Draw items in two dimensions, coloured by modality; a line joins the modalities of an item.

    All checkpoints have the same axes. Embeddings are drawn at unit length: those of different
    models differ in length, and within a model a few long ones would push all others together.
    """
    n_columns = min(len(samples), _N_COLUMNS)
    n_rows = -(-len(samples) // n_columns)
    names = _names(samples)
    with matplotlib.rc_context(STYLE):
        figure = _new(max(_PANEL * n_columns + 0.5, 4.2), (_PANEL + 0.5) * n_rows)
        panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for unused in panels[len(samples) :]:
            unused.remove()

        panels = panels[: len(samples)]
        for axes, (title, sample) in zip(panels, samples.items(), strict=True):
            points, about = project(sample.embeddings[sample.available], method, seed)
            _draw_points(axes, sample, points, names)
            axes.set_title(f"{wrapped(title, _PANEL - 0.4)}\n{about}", fontsize=9)
            axes.tick_params(labelsize=7)
        _share_limits(panels)

        # A checkpoint may lack a modality, so that no single panel has all handles.
        handles: dict[str, Any] = {}
        for axes in panels:
            drawn, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, drawn, strict=True))
        place_legend(figure, handles, loc="outside lower center", markerscale=1.6)
        _fit_height(figure, n_rows)
    return figure


def _fit_height(figure: Figure, n_rows: int) -> None:
    """Make room for titles and legend, so that the panels keep the height of a square."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    heights = [axes.title.get_window_extent(renderer).height for axes in figure.axes]

    # Extents are in pixels, sizes of figures in inches.
    titles = max(heights) / figure.dpi
    legend = figure.legends[0].get_window_extent(renderer).height / figure.dpi
    figure.set_figheight(n_rows * (_PANEL + titles + 0.15) + legend + 0.2)


def _share_limits(panels: Any) -> None:
    """Give all panels the same square: equal distances look equal within and between them."""
    limits = np.array([[axes.get_xlim(), axes.get_ylim()] for axes in panels])  # [panels, 2, 2]
    low = limits[:, :, 0].min(0)
    high = limits[:, :, 1].max(0)
    middle = (low + high) / 2
    half = (high - low).max() / 2
    for axes in panels:
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)
        axes.set_box_aspect(1)


def _draw_points(
    axes: Any, sample: ModalityEmbeddings, points: NDArray[Any], names: list[str]
) -> None:
    placed = np.full((*sample.available.shape, 2), np.nan)  # [n_items, n_modalities, 2]
    placed[sample.available] = points
    shown = np.linspace(0, len(placed) - 1, min(N_POINTS, len(placed))).astype(int)
    placed = placed[shown]

    segments = [placed[:, pair] for pair in combinations(range(len(sample.names)), 2)]
    joined = np.concatenate(segments)  # [n_segments, 2 ends, 2]
    # An item without one of the modalities has no line to it.
    joined = joined[~np.isnan(joined).any((1, 2))]
    lines = LineCollection(list(joined), colors="#888888", linewidths=0.4, alpha=0.35, zorder=1)
    axes.add_collection(lines)

    for column, name in enumerate(sample.names):
        style = look(names.index(name))
        axes.scatter(
            *placed[:, column].T, s=9, alpha=0.8, linewidths=0, zorder=2, label=name, **style
        )


def cosine_distances(
    sample: ModalityEmbeddings, first: int, second: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Compute cosine distances between two modalities.

    Returns:
        Distances for the same item ``[n]``, and for different items ``[n * (n - 1)]``.
    """
    both = sample.available[:, first] & sample.available[:, second]
    x = _at_unit_length(sample.embeddings[both, first])
    y = _at_unit_length(sample.embeddings[both, second])

    # Rounding may bring a cosine above 1.
    distances = np.clip(1 - x @ y.T, 0, 2)  # [n, n]
    is_same = np.eye(len(distances), dtype=bool)
    return np.diagonal(distances), distances[~is_same]


def _names(samples: Samples) -> list[str]:
    """List the modalities of all checkpoints."""
    return list(dict.fromkeys(chain.from_iterable(sample.names for sample in samples.values())))


def _pairs(samples: Samples) -> Iterator[tuple[str, str]]:
    return combinations(_names(samples), 2)


def _distances(
    samples: Samples,
) -> dict[tuple[tuple[str, str], str], tuple[NDArray[Any], NDArray[Any]]]:
    """Compute the cosine distances of each pair of modalities in each checkpoint with both.

    Returns:
        Pair and title of the checkpoint -> the result of :func:`cosine_distances`.
    """
    found = {}
    for first, second in _pairs(samples):
        for title, sample in samples.items():
            if first in sample.names and second in sample.names:
                columns = sample.names.index(first), sample.names.index(second)
                found[(first, second), title] = cosine_distances(sample, *columns)
    return found


def histograms(samples: Samples, side: str = "item") -> Figure:
    """Draw cosine distances of the same and of different items (or users).

    There is a row for each pair of modalities and a column for each checkpoint, all on the same
    axes.
    """
    pairs = list(_pairs(samples))
    with matplotlib.rc_context(STYLE):
        figure = _new(max(_HISTOGRAM * len(samples) + 0.6, 3.6), 1.9 * len(pairs) + 0.9)
        panels = figure.subplots(len(pairs), len(samples), squeeze=False, sharex=True, sharey="row")
        found = _distances(samples)

        # Two modalities without a common item have no distance.
        drawn = [distances for distances in chain.from_iterable(found.values()) if len(distances)]
        largest = max((float(distances.max()) for distances in drawn), default=1.0)
        bins = np.linspace(0, max(largest, 1e-6), N_BINS + 1)

        for row, pair in enumerate(pairs):
            for column, title in enumerate(samples):
                axes = panels[row, column]
                for i, distances in enumerate(found.get((pair, title), ())):
                    # Shares, because different items have many more pairs than the same item.
                    weights = np.full(len(distances), 1 / max(len(distances), 1))
                    label = (f"same {side}", f"different {side}s")[i]
                    style = {"color": COLOURS[i], "linestyle": LINES[i]}
                    axes.hist(
                        distances,
                        bins,
                        weights=weights,
                        histtype="step",
                        linewidth=1.3,
                        label=label,
                        **style,
                    )

                head = wrapped(title, _HISTOGRAM - 0.4) if not row else ""
                about = wrapped(pair_name(*pair), _HISTOGRAM - 0.4)
                axes.set_title(f"{head}\n{about}".strip(), fontsize=9)

        figure.supxlabel("cosine distance", fontsize=9)
        figure.supylabel("share of the pairs", fontsize=9)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        place_legend(figure, dict(zip(labels, handles, strict=True)), loc="outside upper left")
    return figure


def heat_map(frame: pd.DataFrame) -> Figure:
    """Draw mean cosine distances between modalities: same item above, different items below.

    Args:
        frame: Rows with ``name``, ``side`` and the columns of
            :func:`~recbole_sibrar.studies.gap.measures.measure_gap`.
    """
    titles = list(dict.fromkeys(frame["name"]))
    # Rows of all modalities together have empty names.
    names = list(filter(None, dict.fromkeys([*frame["first"], *frame["second"]])))
    measures = ("cosine_same", "cosine_different")
    side = frame["side"].iloc[0]

    # Models stand side by side, in further pairs of rows beyond the widest page.
    n_columns = min(len(titles), _N_COLUMNS)
    n_rows = 2 * -(-len(titles) // n_columns)
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        size = max(0.55 * len(names) + 1.1, 2.4)
        figure = _new(size * n_columns + 1.2, n_rows * size + 0.3)
        panels = figure.subplots(n_rows, n_columns, squeeze=False)

        # One scale of colours for all panels.
        largest = max(float(frame.loc[frame["measure"].isin(measures), "value"].max()), 1e-6)
        for position, title in enumerate(titles):
            block, column = divmod(position, n_columns)
            rows = frame[frame["name"] == title]
            for i, measure in enumerate(measures):
                axes = panels[2 * block + i, column]
                matrix = _matrix(rows[rows["measure"] == measure], names, measure == "cosine_same")
                _draw_matrix(axes, matrix, largest)

                axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
                axes.set_yticks(range(len(names)), names if not column else [""] * len(names))
                about = (f"same {side}", f"different {side}s")[i]
                axes.set_title(f"{wrapped(title, size - 0.5)}\n{about}", fontsize=9)

        used = [axes for axes in panels.flat if axes.images]
        for unused in set(panels.flat) - set(used):
            unused.remove()
        image = used[0].images[0]
        figure.colorbar(image, ax=used, label="mean cosine distance", shrink=0.7)
    return figure


def _draw_matrix(axes: Any, matrix: NDArray[Any], largest: float) -> None:
    """Draw a heat map with a number in each cell."""
    axes.imshow(matrix, cmap="cividis", vmin=0, vmax=largest)
    for (i, j), value in np.ndenumerate(matrix):
        text = "" if np.isnan(value) else f"{value:.2f}"
        # The colours of cividis are dark below the middle of the scale.
        colour = "white" if value < 0.5 * largest else "black"
        axes.text(j, i, text, ha="center", va="center", color=colour)


def _matrix(rows: pd.DataFrame, names: list[str], zeros: bool) -> NDArray[Any]:
    """``[n_modalities, n_modalities]``, symmetric; NaN for a missing pair."""
    matrix = np.full((len(names), len(names)), np.nan)
    for first, second, value in zip(rows["first"], rows["second"], rows["value"], strict=True):
        i, j = names.index(first), names.index(second)
        matrix[i, j] = matrix[j, i] = value
    if zeros:
        np.fill_diagonal(matrix, 0)
    return matrix


def series(files: Mapping[str, pd.DataFrame], side: str) -> Figure:
    """Draw measures against the number of trained epochs, a line for each run, averaged over pairs.

    Args:
        files: Name -> rows with ``epochs``, ``side``, ``first``, ``second``, ``measure`` and
            ``value``.
        side: ``item`` or ``user``.
    """
    with matplotlib.rc_context(STYLE):
        figure = _new(6.4, 4.6)
        panels = figure.subplots(2, 2, sharex=True).flat
        for axes, measure in zip(panels, SERIES_MEASURES, strict=True):
            for i, (name, frame) in enumerate(files.items()):
                rows = frame[(frame["side"] == side) & (frame["measure"] == measure)]
                means = rows.groupby("epochs")["value"].mean()
                style = {**look(i), "linestyle": LINES[i % len(LINES)], "label": name}
                # Unclipped, marks at 0 and at the last epoch stay whole.
                axes.plot(means.index, means.to_numpy(), linewidth=1.4, clip_on=False, **style)

            axes.set_title(LABELS[measure].format(side=side), fontsize=9)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.supxlabel("epochs trained so far", fontsize=9)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        place_legend(
            figure,
            dict(zip(labels, handles, strict=True)),
            loc="outside upper left",
            handlelength=3,
        )
    return figure
