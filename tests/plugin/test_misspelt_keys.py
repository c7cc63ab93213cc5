"""Misspelt and unknown configuration keys."""

from __future__ import annotations

import pytest

from recbole_sibrar.config import (
    ConfigError,
    check_keys,
    own_keys,
)


def test_misspelt_and_unknown_keys() -> None:
    known = {"learning_rate", "epochs"}
    with pytest.raises(
        ConfigError, match="contrastve_weight: unknown key; did you mean 'contrastive_weight'"
    ):
        check_keys(["contrastve_weight"], known)
    warnings = check_keys(["epochs", "item_modalities", "frobnicate"], known)
    assert list(warnings) == ["frobnicate"]
    assert "'frobnicate' has no effect" in warnings["frobnicate"]
    assert (
        "other models do" in check_keys(["item_modalities"], known, strict=False)["item_modalities"]
    )
    assert {"temperature", "user_temperature", "item_temperature", "loss_type"} <= set(own_keys())


def test_misspelt_keys_of_single_models() -> None:
    """A file of settings may serve several models of a comparison."""
    known = {"learning_rate", "preference_dropout_prob"}
    with pytest.raises(ConfigError, match="unknown key; did you mean 'preference_dropout_prob'"):
        check_keys(["preference_dropot_prob"], known)
    for key in ("preference_dropout_prob", "score_temperature"):
        warnings = check_keys([key], {"learning_rate"})
        assert f"'{key}' has no effect" in warnings[key]
