"""Keys of the user that another key leaves without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from recbole_sibrar.config.encoder import has_key
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import ConfigLike


class _Need(NamedTuple):
    """Condition under which a key has an effect."""

    name: str
    """Another key, without the prefix of a side."""
    holds: Callable[[Any], bool]
    """True for its values that give the key an effect."""
    allowed: str
    """These values in words."""


_TEACHER = _Need("distillation_weight", bool, "above 0")
_START = _Need("warm_start", lambda value: value == "ease", "ease")
_SAMPLING = _Need("modality_sampling", bool, "True")
_CONTRAST = _Need("contrastive", lambda value: value not in (None, "none"), "pairwise or central")
_CENTRAL = _Need("contrastive", lambda value: value == "central", "central")

_NEEDS: dict[str, _Need] = {
    "distillation_temperature": _TEACHER,
    "distillation_l2": _TEACHER,
    "warm_start_l2": _START,
    "warm_start_ridge": _START,
    "warm_start_weights": _START,
    "warm_start_popularity": _START,
    "warm_start_rarity": _START,
    "warm_start_new_items": _START,
    "drawn_modalities": _SAMPLING,
    "drawn_per": _SAMPLING,
    "contrastive_scope": _CONTRAST,
    "contrastive_weight": _CONTRAST,
    "temperature": _CONTRAST,
    "central_modality": _CENTRAL,
}
"""Key of SiBraR and MuBraR -> what it needs."""


def idle_keys(
    config: ConfigLike, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, str]:
    """Find keys that another key leaves without effect.

    Args:
        config: Every key of SiBraR or MuBraR.
        given: The user's keys; one with its default value asks for nothing.
        defaults: Defaults of the model.

    Returns:
        Key -> a warning.

    Example:
        >>> from collections import defaultdict
        >>> config = defaultdict(lambda: None, {"distillation_weight": 0.0})
        >>> idle_keys(config, {"distillation_l2": 10.0}, {"distillation_l2": 300.0})
        {'distillation_l2': "the key 'distillation_l2' has no effect without distillation_weight: \
above 0"}
    """
    warnings: dict[str, str] = {}
    for key, value in given.items():
        side, name = _parts(key)
        need = _NEEDS.get(name)
        if need is None or value in (None, defaults.get(key)):
            continue

        if not any(need.holds(other) for other in _values(config, side, need.name)):
            wanted = f"without {need.name}: {need.allowed}"
            warnings[key] = f"the key '{key}' has no effect {wanted}"
    return warnings


def _parts(key: str) -> tuple[Side | None, str]:
    """Divide a key into its side, None for both, and its name."""
    for side in SIDES:
        if key.startswith(f"{side}_"):
            return side, key.removeprefix(f"{side}_")
    return None, key


def _values(config: ConfigLike, side: Side | None, name: str) -> Iterator[Any]:
    """Yield the values of a key for a side, or for both."""
    for each in (side,) if side else SIDES:
        yield config[f"{each}_{name}" if has_key(config, each, name) else name]
