"""A training that stands still is a warning, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from recbole.utils import get_trainer

MakeModel = Callable[..., tuple[Any, ...]]


@pytest.mark.parametrize(("learning_rate", "warned"), [(0.0, True), (1e-9, True), (0.01, False)])
def test_warning(
    make_model: MakeModel, caplog: pytest.LogCaptureFixture, learning_rate: float, warned: bool
) -> None:
    """Without steps all stands still; negatives drawn anew change the loss of an unchanged model."""
    keys = {"learning_rate": learning_rate, "weight_decay": 0.0, "epochs": 8, "stopping_step": 100}
    config, model, train, valid, _ = make_model(model="DropoutNet", state="WARNING", **keys)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    with caplog.at_level(logging.WARNING):
        trainer.fit(train, valid, saved=False, show_progress=False)

    found = [line for line in caplog.messages if line.startswith("no change for 5 epochs")]
    assert len(found) == warned
    assert all("MRR@10" in line for line in found)
