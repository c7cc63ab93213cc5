"""Colours of models: the same one on the page, in PNG and in PDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.colors import to_hex, to_rgb

from recbole_sibrar.names import MODELS

__all__ = ["Colour", "model_colours", "shade"]


@dataclass(frozen=True)
class Colour:
    """Colour of a model in both themes."""

    light: str
    """On a light ground, and on paper."""
    dark: str
    """On a dark ground."""
    own: bool
    """True for a model of this package, False for a baseline in grey."""
    number: int
    """Position among the models of its kind, from 0: the marker and the dashes of its lines."""


# Four of the colours of Okabe and Ito, distinct for colour-blind readers; lighter ones for the
# dark theme.
_HUES = {
    "SiBraR": ("#0072b2", "#4fa9e2"),
    "MuBraR": ("#00805a", "#2fc196"),
    "DropoutNet": ("#c75300", "#f28a45"),
    "CLCRec": ("#b0508a", "#e0a0c4"),
}
_OTHER_HUE = ("#7a5c00", "#eab036")

_GREYS = (
    ("#5f6670", "#b4bbc4"),
    ("#868d97", "#868d97"),
    ("#3c424a", "#dfe3e8"),
    ("#727983", "#9aa1ab"),
)

_SHADES = (0.0, 0.45, -0.1, 0.22, 0.65)
"""Steps between variants of one model: positive ones are darker on a light ground."""


def shade(colour: str, amount: float) -> str:
    """Mix a colour with black (a positive amount) or with white (a negative one).

    Example:
        >>> shade("#808080", 0.5), shade("#808080", -1)
        ('#404040', '#ffffff')
    """
    target = 0.0 if amount > 0 else 1.0
    share = abs(amount)
    mixed = [part * (1 - share) + target * share for part in to_rgb(colour)]
    return str(to_hex((mixed[0], mixed[1], mixed[2])))


def model_colours(classes: Mapping[str, str]) -> dict[str, Colour]:
    """Choose a colour for each model: a hue for each of this package's, greys for baselines.

    Args:
        classes: Name of a model -> name of its class; variants of a class get shades of its hue.

    Example:
        >>> colours = model_colours({"SiBraR": "SiBraR", "Pop": "Pop"})
        >>> colours["SiBraR"].light, colours["Pop"].own
        ('#0072b2', False)
    """
    counts: dict[str, int] = {}
    colours = {}
    for name, model in classes.items():
        own = model in MODELS
        kind = model if own else "baseline"
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        if own:
            light, dark = _HUES.get(model, _OTHER_HUE)
            step = _SHADES[number % len(_SHADES)]
            # The other way on a dark ground, to stay visible.
            colours[name] = Colour(shade(light, step), shade(dark, -step * 0.8), own, number)
        else:
            light, dark = _GREYS[number % len(_GREYS)]
            colours[name] = Colour(light, dark, own, number)
    return colours
