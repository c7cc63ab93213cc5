"""Sides without content in CLCRec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from recbole_sibrar.config import ConfigError

Make = Callable[..., Any]


def test_no_content_is_one_clear_line(make_model: Make, tiny_folder: Any) -> None:
    (tiny_folder / "tiny" / "tiny.user").unlink()
    make_model(model="CLCRec")
    (tiny_folder / "tiny" / "tiny.item").unlink()
    with pytest.raises(
        ConfigError, match=r"^CLCRec needs content of the items or of the users, found none \(.*\)$"
    ) as e:
        make_model(model="CLCRec")
    assert "\n" not in str(e.value)


def test_side_without_content_is_embeddings(make_model: Make, tiny_folder: Any) -> None:
    (tiny_folder / "tiny" / "tiny.user").unlink()
    _, model, *_ = make_model(model="CLCRec")
    assert model.user_encoder.modalities == ("id",)
    assert model.item_encoder.modalities == ("kind", "tags", "price", "text")
