"""Keys with dictionaries as values: their inner keys, and the defaults of those left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from recbole_sibrar.config.unknown_keys import MISSPELT
from recbole_sibrar.errors import ConfigError, nearest
from recbole_sibrar.names import ATOMIC_FILES

NEGATIVE_SAMPLING = ("distribution", "sample_num", "alpha", "dynamic", "candidate_num")
"""Keys of RecBole's ``train_neg_sample_args``."""

_DISTRIBUTIONS = ("uniform", "popularity")

INSIDE: dict[str, tuple[str, ...]] = {
    "eval_args": ("split", "order", "group_by", "mode", "candidates"),
    "eval_args: split": ("RS", "LS", "TS", "CS", "warm"),
    "eval_args: mode": ("valid", "test"),
    "train_neg_sample_args": NEGATIVE_SAMPLING,
    "clip_grad_norm": ("max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "load_col": ATOMIC_FILES,
    "unload_col": ATOMIC_FILES,
    "unused_col": ATOMIC_FILES,
}
"""Path of a dictionary -> its keys in RecBole or the plugin."""


def check_dictionaries(
    given: Mapping[str, Any],
    strict: bool,
    known: Collection[str],
    suffixes: Collection[str] = (),
) -> dict[str, str]:
    """Check the keys inside dictionaries.

    Args:
        given: The keys of the user and their values.
        strict: True for a model of ours: an unknown key is an error rather than a warning.
        known: Keys of RecBole and its model at the top level.
        suffixes: Suffixes of the user's own atomic files (``additional_feat_suffix``).

    Returns:
        Path of a key -> a warning, for each key without effect.

    Raises:
        ConfigError: A key looks like a misspelt one; or, with ``strict``, is unknown in the
            negative sampling.
    """
    warnings: dict[str, str] = {}
    for path, key, value, allowed in _unknown(given, suffixes):
        place = f"{path}: {key}"
        if key in known:
            found = f"the key '{key}' has no effect there"
            warnings[place] = f"{path}: {found}; it stands beside {path}"
            continue

        # one wrong letter changes more of a short word
        hint = nearest(str(key), allowed, MISSPELT if len(str(key)) > 5 else 0.6)
        if hint:
            raise ConfigError(f"{place}: unknown key{hint}")

        message = f"the key '{key}' has no effect; allowed are {', '.join(allowed)}"
        if path == "train_neg_sample_args" and key in _DISTRIBUTIONS:
            message += f"; write {{distribution: {key}, sample_num: {value}}}"
        if path == "train_neg_sample_args" and strict:
            raise ConfigError(f"{path}: {message}")
        warnings[place] = f"{path}: {message}"
    return warnings


def _unknown(
    given: Mapping[str, Any], suffixes: Collection[str]
) -> Iterator[tuple[str, Any, Any, tuple[str, ...]]]:
    """Find unknown keys in dictionaries: path, key, value, and the allowed keys."""
    for path, allowed in INSIDE.items():
        value: object = given
        # down the path, as far as there are dictionaries
        for part in path.split(": "):
            value = value.get(part) if isinstance(value, Mapping) else None

        if not isinstance(value, Mapping):
            continue
        if allowed is ATOMIC_FILES:
            allowed = (*allowed, *suffixes)
        for key in value:
            if key not in allowed:
                yield path, key, value[key], allowed


def with_defaults(value: object, default: object) -> Any:
    """Complete a dictionary of the user by the default's other keys.

    Any other value stays as it is.

    Example:
        >>> with_defaults({"sample_num": 5}, {"distribution": "uniform", "sample_num": 10})
        {'distribution': 'uniform', 'sample_num': 5}
    """
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return {**default, **value}
    return value
