"""A loss of NaN or infinity ends the training and names the most likely field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.plugin.training.losses import explain

MakeModel = Callable[..., tuple[Any, ...]]


def enlarge(folder: Path, column: int, times: float) -> float:
    """Multiply the numbers of a column of the items, and return the largest."""
    largest = 0.0
    file = folder / "tiny" / "tiny.item"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    changed = [header]
    for line in lines:
        cells = line.split("\t")
        numbers = [float(number) * times for number in cells[column].split()]
        largest = max([largest, *map(abs, numbers)])
        cells[column] = " ".join(f"{number:g}" for number in numbers)
        changed.append("\t".join(cells))
    file.write_text("\n".join(changed) + "\n", encoding="utf-8")
    return largest


@pytest.mark.parametrize(
    ("column", "field", "key", "times"),
    [(4, "text", "normalize_vectors", 4e18), (3, "price", "normalize_numbers", 5e17)],
)
def test_overflowing_field_is_named(
    make_model: MakeModel, tiny_folder: Path, column: int, field: str, key: str, times: float
) -> None:
    largest = enlarge(tiny_folder, column, times)
    config, model, train, *_ = make_model(batch_norm="none", normalize_numbers="none")
    with pytest.raises(DataError) as caught:
        Trainer(config, model).fit(train, saved=False, show_progress=False)
    message = str(caught.value)
    assert message.startswith("the training loss is ")
    assert (
        f"the item field '{field}' has values up to {largest:.3g}, the largest of all fields"
        in message
    )
    assert f"scale it by {key}: {{{field}: standard}}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "settings", [{"normalize_vectors": "standard"}, {"normalize_vectors": {"text": "l2"}}]
)
def test_the_keys_of_the_message_help(
    make_model: MakeModel, tiny_folder: Path, settings: dict[str, Any]
) -> None:
    enlarge(tiny_folder, 4, 4e18)
    config, model, train, *_ = make_model(batch_norm="none", **settings)
    Trainer(config, model).fit(train, saved=False, show_progress=False)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def test_parameters_of_nan_hide_nothing(make_model: MakeModel, tiny_folder: Path) -> None:
    """No projection is finite, so the field with the largest values is named."""
    enlarge(tiny_folder, 4, 1e6)
    _, model, *_ = make_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    assert "the item field 'text' has values up to" in explain(model, float("nan"), 0.002)


def test_ordinary_fields_are_not_blamed(make_model: MakeModel) -> None:
    config, model, *_ = make_model()
    message = explain(model, float("nan"), config["learning_rate"])
    assert message == "the training loss is nan; a learning_rate below 0.002 may help"


def test_scaled_outliers_have_other_advice(make_model: MakeModel) -> None:
    _, model, *_ = make_model(item_modalities=["price", "kind"])
    layer = model.item_encoder.projections[0][0]
    layer.scaling.deviation.fill_(1e-3)
    assert "look for outliers in it" in explain(model, float("inf"), 0.1)


@pytest.mark.parametrize(
    ("loss", "scaler", "ends"),
    [("nan", False, 1), ("inf", False, 1), ("inf", True, 0), ("1", False, 0)],
)
def test_a_scaler_may_skip_infinite_losses(
    make_model: MakeModel, loss: str, scaler: bool, ends: int
) -> None:
    config, model, *_ = make_model()
    trainer = Trainer(config, model)
    trainer.enable_scaler = scaler
    raised = 0
    try:
        trainer._check_nan(torch.tensor(float(loss)))
    except DataError:
        raised = 1
    assert raised == ends


def test_recboles_models_are_as_before(make_model: MakeModel) -> None:
    config, model, *_ = make_model(model="BPR")
    trainer = Trainer(config, model)
    trainer._check_nan(torch.tensor(torch.inf))
    with pytest.raises(ValueError, match=r"^Training loss is nan$"):
        trainer._check_nan(torch.tensor(torch.nan))
