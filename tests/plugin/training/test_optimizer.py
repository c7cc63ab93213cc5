from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer

Build = Callable[..., tuple[Any, ...]]


@pytest.mark.parametrize(
    ("learner", "plain"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_fused_step_equals_the_plain_one(make_model: Build, learner: str, plain: Any) -> None:
    config, model, train_data, *_ = make_model(
        learner=learner, learning_rate=0.01, weight_decay=0.1
    )
    reference = copy.deepcopy(model)
    trainer = Trainer(config, model)
    expected = plain(reference.parameters(), lr=0.01, weight_decay=0.1, foreach=False)
    batch = next(iter(train_data))

    for _ in range(2):
        trainer.optimizer.zero_grad()
        sum(model.calculate_loss(batch)).backward()
        for same, parameter in zip(reference.parameters(), model.parameters(), strict=True):
            same.grad = parameter.grad
        trainer.optimizer.step()
        expected.step()

    assert trainer.optimizer.param_groups[0]["fused"]
    for found, wanted in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_recboles_models_keep_optimizers(make_model: Build) -> None:
    config, model, *_ = make_model(model="BPR")
    assert not Trainer(config, model).optimizer.param_groups[0]["fused"]


def test_optimizer_without_a_fused_step(make_model: Build) -> None:
    config, model, *_ = make_model(learner="rmsprop")
    assert "fused" not in Trainer(config, model).optimizer.param_groups[0]
