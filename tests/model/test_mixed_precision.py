"""RecBole's ``enable_amp``: the encoders compute in bfloat16, everything after them in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer
from torch import nn

Build = Callable[..., tuple[Any, ...]]
MODELS = ("SiBraR", "MuBraR", "DropoutNet", "CLCRec")


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss_type", ["BPR", "SSM"])
def test_loss_is_near_that_of_float32(make_model: Build, model: str, loss_type: str) -> None:
    _, network, train_data, *_ = make_model(
        model=model, loss_type=loss_type, user_modalities="auto"
    )
    batch = next(iter(train_data))
    found: dict[bool, torch.Tensor] = {}
    narrow = []
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: narrow.append(output.dtype))
    for enabled in (False, True):
        narrow.clear()
        torch.manual_seed(0)
        with torch.autocast("cpu", enabled=enabled):
            parts = network.calculate_loss(batch)
        found[enabled] = torch.stack(parts if isinstance(parts, tuple) else (parts,))
        assert set(narrow) == {torch.bfloat16 if enabled else torch.float32}
    assert found[True].dtype == torch.float32
    assert torch.allclose(found[True], found[False], rtol=0.03)
    assert not torch.equal(found[True], found[False])


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_model_learns_and_keeps_float32(make_model: Build, tmp_path: Any, model: str) -> None:
    losses: dict[bool, list[float]] = {}
    for enabled in (False, True):
        config, network, train_data, valid_data, _ = make_model(
            model=model, enable_amp=enabled, epochs=4
        )
        trainer = Trainer(config, network)
        trainer.saved_model_file = str(tmp_path / f"{enabled}.pth")
        trainer.fit(train_data, valid_data)
        totals = [trainer.train_loss_dict[epoch] for epoch in range(4)]
        losses[enabled] = [sum(total) if isinstance(total, tuple) else total for total in totals]
        assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert losses[True][-1] < losses[True][0]
    assert losses[True] != losses[False]
    with torch.no_grad():
        assert network.eval().encode_items().dtype == torch.float32
