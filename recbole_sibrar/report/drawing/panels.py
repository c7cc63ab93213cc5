"""Small projections side by side, on common axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Cloud", "Panel", "Panels", "draw_panels"]

UNITS = 1000
"""Width and height of a panel in its own coordinates."""


@dataclass(frozen=True)
class Cloud:
    """Points of one modality."""

    number: int
    """Position of the modality among all; its colour."""
    path: str
    """Points as a path of SVG: strokes of no length with round ends."""


@dataclass(frozen=True)
class Panel:
    """Projection of a model."""

    title: str
    """The model."""
    about: str
    """The projection."""
    clouds: Sequence[Cloud]
    """Its modalities."""


@dataclass(frozen=True)
class Panels:
    """View of projections."""

    panels: Sequence[Panel]
    """One for each model."""
    names: Sequence[str]
    """All modalities, in the order of their colours."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "panels"


def draw_panels(frames: Mapping[str, pd.DataFrame]) -> Panels:
    """Place projections; equal distances look equal within and between the panels.

    Args:
        frames: Model -> ``modality``, ``x``, ``y`` and ``about`` of its points.
    """
    everything = pd.concat(list(frames.values()))
    names: list[str] = list(dict.fromkeys(everything["modality"].tolist()))

    points = everything[["x", "y"]].to_numpy(dtype=float)  # [n, 2]
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    # One extent for both directions keeps distances.
    extent = float((high - low).max()) or 1.0

    panels = []
    for title, frame in frames.items():
        clouds = []
        for number, name in enumerate(names):
            points = frame.loc[frame["modality"] == name, ["x", "y"]].to_numpy(dtype=float)
            if len(points):
                clouds.append(Cloud(number, _path((points - middle) / extent)))
        panels.append(Panel(title, str(frame["about"].iloc[0]), clouds))
    return Panels(panels, names)


def _path(points: NDArray[np.float64]) -> str:
    """Write points from -0.5 to 0.5, with a margin of 4 %."""
    # SVG counts from the top.
    places = (UNITS * (0.5 + 0.92 * points * [1, -1])).round().astype(int)  # [n, 2]
    return "".join(f"M{x} {y}h0" for x, y in places)
