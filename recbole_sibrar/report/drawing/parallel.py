"""Parallel coordinates of trials.

There is an axis for each parameter, one below the other, and a thread for each trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from recbole_sibrar.report.drawing.lines import UNITS
from recbole_sibrar.report.drawing.scale import Scale, Tick, fit, short

__all__ = ["Axis", "Parallel", "Thread", "choice_axis", "draw_threads", "number_axis"]


@dataclass(frozen=True)
class Axis:
    """A parameter, or the score."""

    name: str
    """Text on its left."""
    ticks: Sequence[Tick]
    """Its values."""
    places: Sequence[float]
    """Percent of each trial."""

    @property
    def width(self) -> float:
        """Room of a tick's text in percent of the axis."""
        return round(100 / max(len(self.ticks), 1), 1)


@dataclass(frozen=True)
class Thread:
    """A trial."""

    path: str
    """Points of SVG."""
    share: float
    """Percent of the way from the worst score to the best."""
    is_best: bool
    """True for the best trial."""
    hint: str
    """Text for a pointer."""


@dataclass(frozen=True)
class Parallel:
    """View of parallel coordinates."""

    axes: Sequence[Axis]
    """From the top; the score is the last."""
    threads: Sequence[Thread]
    """The best one comes last, above all others."""
    worst: str
    """Worst score."""
    best: str
    """Best score."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "parallel"


def choice_axis(name: str, values: Sequence[str], choices: Sequence[str]) -> Axis:
    """Place choices in the middles of equal parts of the axis.

    Args:
        name: Text on its left.
        values: The value of each trial.
        choices: All possible values, in order.

    Example:
        >>> choice_axis("loss", ["bpr", "bce", "bpr"], ["bce", "bpr"]).places
        [75.0, 25.0, 75.0]
    """
    known = list(dict.fromkeys([*choices, *values]))
    places = {}
    ticks = []
    for i, value in enumerate(known):
        places[value] = round(100 * (i + 0.5) / len(known), 2)
        ticks.append(Tick(places[value], value))
    return Axis(name, ticks, [places[value] for value in values])


def number_axis(name: str, values: Sequence[float], logarithmic: bool = False) -> Axis:
    """Place numbers.

    Args:
        name: Text on its left.
        values: The value of each trial.
        logarithmic: True for an axis with equal ratios.
    """
    if not logarithmic:
        scale = fit(values, room=0.02)
        whole = all(float(value).is_integer() for value in values)
        return Axis(name, scale.ticks(4, whole), scale.places(values))

    logarithms = [log(value) for value in values]
    scale = fit(logarithms, room=0.02)
    ticks = []
    # In even steps of the logarithm.
    for place in (5.0, 35.0, 65.0, 95.0):
        ticks.append(Tick(place, f"{exp(_inverse(scale, place)):.2g}"))
    return Axis(name, ticks, scale.places(logarithms))


def _inverse(scale: Scale, place: float) -> float:
    return scale.low + place / 100 * (scale.high - scale.low)


def draw_threads(
    axes: Sequence[Axis], scores: Sequence[float], best: int, bigger: bool, hints: Sequence[str]
) -> Parallel:
    """Join the places of each trial.

    Args:
        axes: The axes, from the top.
        scores: Score of each trial.
        best: Position of the best trial.
        bigger: True for a metric with greater values for better models.
        hints: Text of each trial for a pointer.
    """
    worst = min(scores) if bigger else max(scores)
    # 1 if all scores are equal.
    extent = abs(scores[best] - worst) or 1.0
    n_steps = max(len(axes) - 1, 1)

    threads = []
    for i, score in enumerate(scores):
        points = []
        for row, axis in enumerate(axes):
            points.append(f"{axis.places[i] * UNITS / 100:.0f},{row * UNITS / n_steps:.0f}")
        share = round(100 * abs(score - worst) / extent, 1)
        threads.append(Thread(" ".join(points), share, i == best, hints[i]))

    # SVG draws later threads above earlier ones.
    threads.sort(key=lambda thread: (thread.is_best, thread.share))
    return Parallel(axes, threads, short(worst), short(scores[best]))
