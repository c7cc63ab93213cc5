"""Values that a model cannot use are refused by name, and values that outweigh others are a warning."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.modality import ModalityKind, dense_table
from recbole_sibrar.model.clcrec import CLCRec
from recbole_sibrar.model.dropoutnet import DropoutNet
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def tokens(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Original ids of the items: i0 to i8."""
    monkeypatch.setattr(world, "iid_field", "item_id", raising=False)
    monkeypatch.setattr(
        world, "field2id_token", {"item_id": [f"i{n}" for n in range(9)]}, raising=False
    )


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """The lines of a level that making a model logs."""

    def lines(make: Make, level: int = logging.WARNING, **settings: Any) -> list[str]:
        caplog.clear()
        caplog.set_level(logging.INFO)
        make(**{"normalize_branch_input": False, **settings})
        return [record.getMessage() for record in caplog.records if record.levelno == level]

    return lines


KEYS = {
    SiBraR: {},
    DropoutNet: {"preference_size": 3, "preference_dropout_prob": 0.5, "seed": 1},
    CLCRec: {"replacement_prob": 0.5, "score_temperature": 1.0},
}


@pytest.mark.parametrize("value", [1e30, -2e19, float("inf"), float("nan")])
@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize("model", KEYS)
def test_an_unusable_number_is_named(
    make: Make, world: Any, value: float, scaling: str, model: type
) -> None:
    world.prices[3] = value
    line = f"item field 'price' (fields of tiny.item): found {value:g} for item 'i3', allowed are numbers up to 1.8e+19"
    with pytest.raises(DataError, match=f"^{re.escape(line)}"):
        make(model, normalize_numbers=scaling, **KEYS[model])
    settings = KEYS[model] | {"item_modalities": ["text"], "user_modalities": "auto"}
    # not a modality, and not looked at
    make(model, contrastive="none" if model is SiBraR else None, **settings)


@pytest.mark.parametrize("scaling", ["none", "l2", "standard"])
def test_an_unusable_vector_is_named(make: Make, world: Any, scaling: str) -> None:
    world.vectors[5, 2] = 1e25
    with pytest.raises(
        DataError,
        match=r"^item field 'text' .*found 1e\+25 for item 'i5', allowed are numbers up to",
    ):
        make(normalize_vectors=scaling)


def test_what_is_missing_is_not_looked_at(make: Make, world: Any) -> None:
    world.vectors[3], world.prices[4] = np.nan, np.inf  # neither has a value
    make()


def test_the_log_says_what_is_scaled_how(make: Make, world: Any, logged: Make) -> None:
    lines = logged(
        make, logging.INFO, normalize_numbers="standard", normalize_vectors={"text": "l2"}
    )
    known = world.prices[[1, 2, 3, 5, 6], 0].astype(float)
    wanted = f"mean {known.mean():.6g}, deviation {known.std():.4g}"
    assert lines[0] == (
        f"scaling of item fields: price standard (normalize_numbers; {wanted}), text l2 (normalize_vectors)"
    )
    # users have neither numbers nor vectors
    assert sum("scaling of" in line for line in lines) == 1
    assert "price none (normalize_numbers), text none" in logged(make, logging.INFO)[0]


def test_a_constant_column_is_said(make: Make, world: Any, logged: Make) -> None:
    world.prices[world.has_price] = 4
    lines = logged(make, logging.INFO, normalize_numbers="standard")
    assert "all training values are the same and become 0" in lines[0]


@pytest.fixture
def with_image(world: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Add vectors ``image`` whose median length is a multiple of that of ``text``."""
    original = world.modality_tables

    def add(times: float) -> None:
        import torch

        tables = original("item")
        lengths = np.linalg.norm(world.vectors[world.has_vector], axis=1)
        image = np.full((9, 4), times * np.median(lengths) / 2)  # of length times the median
        values = torch.from_numpy(image.astype(np.float32))
        table = dense_table("image", ModalityKind.VECTOR, values, torch.arange(9) > 0, 4)
        monkeypatch.setattr(
            world,
            "modality_tables",
            lambda side: {**tables, "image": table} if side == "item" else original(side),
        )

    return add


def test_vectors_that_outweigh_are_named(make: Make, with_image: Make, logged: Make) -> None:
    with_image(40)
    (warning,) = logged(make)
    assert warning.startswith(
        "the vectors of the item field 'image' are 40 times as long as those of 'text'"
    )
    assert "normalize_vectors: l2 or standard" in warning
    assert logged(make, normalize_vectors="l2") == []
    assert logged(make, normalize_vectors={"image": "l2"}) == []
    assert logged(make, item_modalities=["image", "interactions"], normalize_vectors="l2") == []


def test_vectors_of_a_similar_length_are_not(make: Make, with_image: Make, logged: Make) -> None:
    with_image(20)
    assert logged(make) == []
    with_image(1 / 20)
    assert logged(make) == []


def test_unit_projections_are_not_compared(make: Make, with_image: Make, logged: Make) -> None:
    with_image(400)
    assert logged(make, normalize_branch_input=True) == []
    assert len(logged(make)) == 1


def test_large_numbers_outweigh_other_kinds(make: Make, world: Any, logged: Make) -> None:
    world.vectors *= 255
    (warning,) = logged(make)
    assert "'text' have numbers of about" in warning
    assert "outweigh all other modalities" in warning


def test_one_long_vector_is_named(make: Make, world: Any, logged: Make) -> None:
    world.vectors[2] *= 1e6
    warnings = logged(make)
    assert [
        warning
        for warning in warnings
        if "the vector of item 'i2' in the field 'text' is " in warning
    ]
    assert logged(make, normalize_vectors="l2") == []


@pytest.mark.parametrize(("largest", "is_named"), [(1e9, True), (300.0, False)])
def test_a_number_that_hides_others_is_named(
    make_model: Make,
    tiny_folder: Any,
    caplog: pytest.LogCaptureFixture,
    largest: float,
    is_named: bool,
) -> None:
    """The price of item 4 is 2; as 1e9 it would leave no difference between all other prices."""
    file = tiny_folder / "tiny" / "tiny.item"
    text = file.read_text()
    assert "\t2.0\t" in text
    file.write_text(text.replace("\t2.0\t", f"\t{largest:g}\t", 1))
    caplog.set_level(logging.WARNING)
    make_model()
    found = [
        line
        for line in caplog.messages
        if line.startswith(f"the number {largest:g} of item 'i4' in the field")
    ]
    assert len(found) == is_named
