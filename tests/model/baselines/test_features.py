"""Content as rows of unit length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.baselines import EASEContent, GenreAffinity

Build = Callable[..., Any]


def dense(block: Any) -> np.ndarray:
    return block.rows.toarray() if hasattr(block.rows, "toarray") else block.rows


def test_rows(build: Build, item_content: dict[str, np.ndarray]) -> None:
    blocks = build(EASEContent).blocks["item"]
    assert [block.name for block in blocks] == list(item_content)
    for block in blocks:
        np.testing.assert_allclose(
            dense(block), item_content[block.name], atol=1e-6, err_msg=block.name
        )


def test_standard_vectors(build: Build, world: Any) -> None:
    (block,) = build(
        EASEContent, item_modalities=["text"], normalize_vectors={"text": "standard"}
    ).blocks["item"]
    known = world.matrix.any(0) & world.has_vector
    vectors = world.vectors.astype(float)
    scaled = (vectors - vectors[known].mean(0)) / vectors[known].std(0)
    expected = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    np.testing.assert_allclose(block.rows, expected * world.has_vector[:, None], atol=1e-5)


def test_unknown_modality(build: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^item_modalities: found 'texts', allowed .* did you mean 'text'"
    ):
        build(EASEContent, item_modalities=["texts"])
    with pytest.raises(
        ConfigError,
        match=r"^item_modalities: found 'text', allowed is fields of type token, token_s",
    ):
        build(GenreAffinity, item_modalities=["text"])


def test_unknown_weight(build: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^modality_weights: found 'texts', allowed .* did you mean 'text'"
    ):
        build(EASEContent, modality_weights={"texts": 2.0})
    with pytest.raises(
        ConfigError, match=r"^modality_weights: text: found -1, allowed is a number of at least 0"
    ):
        build(EASEContent, modality_weights={"text": -1})


def test_weights_by_type_of_field(build: Build) -> None:
    by_type = build(EASEContent, modality_weights={"token_seq": 2.0, "float_seq": 0.5, "text": 3.0})
    by_name = build(EASEContent, modality_weights={"labels": 2.0, "text": 3.0})
    np.testing.assert_array_equal(by_type.score(np.arange(6)), by_name.score(np.arange(6)))
    with pytest.raises(
        ConfigError,
        match=r"found 'token_sq', allowed is any of .*, or a type: token, token_seq, float",
    ):
        build(EASEContent, modality_weights={"token_sq": 2.0})


def test_content_without_weights_warns(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    build(EASEContent, modality_weights=0)
    assert "modality_weights: every field has the weight 0" in caplog.text
    caplog.clear()
    build(EASEContent, modality_weights={"text": 0})
    assert "modality_weights" not in caplog.text
