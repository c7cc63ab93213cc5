"""Which keys there are, and what to say about one that nobody reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from recbole_sibrar.config.encoder import PARSERS, EncoderConfig
from recbole_sibrar.config.values import ConfigError, nearest

MODEL_KEYS = ("preference_size", "preference_dropout_prob", "replacement_prob", "score_temperature")
"""Keys of ours that a single model reads."""


def own_keys() -> tuple[str, ...]:
    """Every key that our models read, with and without prefix."""
    shared = [field.name for field in fields(EncoderConfig) if field.name in PARSERS]
    return (*(f"{prefix}{name}" for prefix in ("", "user_", "item_") for name in shared), "embedding_size", "loss_type")


def check_keys(given: Iterable[str], known: Iterable[str], strict: bool = True) -> list[str]:
    """Check the names of the keys that a user gave.

    Args:
        given: The keys.
        known: The keys that RecBole and its model read.
        strict: Whether the model is ours, so that our keys have an effect and a misspelt one is an error.

    Returns:
        A warning for each key that nobody reads.

    Raises:
        ConfigError: A key is unknown and looks like a misspelt one of ours.
    """
    own = own_keys() if strict else ()
    all_known = {*own, *known}
    ours = (*own, *(key for key in MODEL_KEYS if key in all_known))
    warnings = []
    for key in given:
        if key in all_known:
            continue
        if key not in MODEL_KEYS and nearest(key, ours):
            raise ConfigError(f"{key}: unknown key{nearest(key, ours)}")
        warnings.append(
            f"the key '{key}' has no effect: neither RecBole nor the model reads it{nearest(key, all_known)}"
        )
    return warnings
