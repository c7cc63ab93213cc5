"""MuBraR is SiBraR but for weight sharing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import yaml
from recbole.data.interaction import Interaction
from recbole.trainer import Trainer

from recbole_sibrar.config.choices import properties
from recbole_sibrar.model.mubrar import MuBraR
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., Any]
ONE_MODALITY = {
    "modality_sampling": False,
    "contrastive": "none",
    "user_modalities": ["interactions"],
}


def total(loss: Any) -> torch.Tensor:
    return sum(loss) if isinstance(loss, tuple) else loss


def losses(model: Any, batch: Interaction, steps: int = 12) -> list[float]:
    """The loss of each of some steps of training."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    torch.manual_seed(3)
    curve = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = total(model.calculate_loss(batch))
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


def with_shared_weights(single: SiBraR, multi: MuBraR) -> MuBraR:
    """Copy the one branch of each side into each of its branches."""
    state = single.state_dict()
    for name in multi.state_dict():
        side, *rest = name.split(".")
        source = ".".join([side, "branches", "0", *rest[2:]]) if rest[0] == "branches" else name
        state[name] = single.state_dict()[source].clone()
    multi.load_state_dict(state)
    return multi


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["interactions", "group", "labels", "price", "text"])
@pytest.mark.parametrize(
    "hard", [{}, {"batch_norm": 1, "dropout_prob": 0.3, "output_activation": True}]
)
def test_one_modality_has_equal_loss_curves(
    make: Make, batch: Interaction, modality: str, hard: dict[str, Any]
) -> None:
    settings = {**ONE_MODALITY, "item_modalities": [modality], **hard}
    curve = losses(make(SiBraR, **settings), batch)
    assert losses(make(MuBraR, **settings), batch) == curve
    assert len(set(curve)) == 12
    assert losses(make(MuBraR, **settings, branch_budget="total"), batch) == curve


def test_several_modalities_part_the_curves(make: Make, batch: Interaction) -> None:
    settings = {"modality_sampling": False, "contrastive": "none"}
    assert losses(make(MuBraR, **settings), batch) != losses(make(SiBraR, **settings), batch)


def test_one_modality_has_equal_runs(make_model: Make) -> None:
    found = []
    for name in ("SiBraR", "MuBraR"):
        config, model, train, valid, test = make_model(
            model=name, item_modalities=["text"], **ONE_MODALITY, epochs=3
        )
        trainer = Trainer(config, model)
        trainer.fit(train, valid, saved=False)
        found.append((trainer.train_loss_dict, dict(trainer.evaluate(test, load_best_model=False))))
    assert found[0] == found[1]
    assert len(set(found[0][0].values())) == 3


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("batch_norm", ["none", "last", 1])
def test_copied_weights_give_equal_inference(
    make: Make, batch: Interaction, aggregation: str, batch_norm: str | int
) -> None:
    settings = {"aggregation": aggregation, "batch_norm": batch_norm}
    single = make(SiBraR, **settings)
    losses(single, batch, 3)  # statistics of batch norm that are not those of the start
    multi = with_shared_weights(single, make(MuBraR, **settings)).eval()
    single.eval()
    for encode in ("encode_users", "encode_items"):
        expected, found = getattr(single, encode)(), getattr(multi, encode)()
        assert torch.allclose(found, expected, atol=1e-6)
        assert expected[1:].abs().max() > 0.01
    for names in (["text"], ["labels", "price"]):
        assert torch.allclose(
            multi.encode_items(modalities=names), single.encode_items(modalities=names), atol=1e-6
        )


@pytest.mark.parametrize(
    ("sampling", "contrastive"), [*product([True, False], ["none", "pairwise"]), (True, "central")]
)
def test_copied_weights_give_equal_training(
    make: Make, batch: Interaction, sampling: bool, contrastive: str
) -> None:
    """What the one branch learns from all modalities is the sum of what the branches learn from one each."""
    settings = {
        "modality_sampling": sampling,
        "contrastive": contrastive,
        "central_modality": "interactions",
    }
    single = make(SiBraR, **settings).double()
    multi = with_shared_weights(single, make(MuBraR, **settings).double())
    found = []
    for model in (single, multi):
        torch.manual_seed(11)
        parts = model.calculate_loss(batch)
        total(parts).backward()
        found.append([part.item() for part in (parts if isinstance(parts, tuple) else (parts,))])
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    ours = {
        name: parameter.grad
        for name, parameter in multi.named_parameters()
        if parameter.grad is not None
    }
    for name, parameter in single.named_parameters():
        side, kind, _, *rest = name.split(".")
        if kind == "branches":
            same = [
                g
                for key, g in ours.items()
                if key.startswith(f"{side}.branches.") and key.split(".")[3:] == rest
            ]
            assert torch.allclose(parameter.grad, sum(same), atol=1e-12), name
        elif parameter.grad is not None:
            assert torch.allclose(parameter.grad, ours[name], atol=1e-12), name


def test_branch_learns_from_its_modality(make: Make) -> None:
    encoder = make(MuBraR, modality_sampling=False, contrastive="none").item_encoder
    names = encoder.modalities
    # labels and text; item 7 is cold
    encoder.encode_training(torch.tensor([7, 7])).embeddings.sum().backward()
    learning = {
        name
        for name, branch in zip(names, encoder.branches, strict=True)
        if branch[0].weight.grad is not None
    }
    assert learning == {"labels", "text"}


def test_number_of_parameters(make: Make) -> None:
    """With d = 6, hidden layer 7 and k = 5 a branch has 6*7+7 + 7*5+5 = 89 parameters."""
    # interactions, group, labels, price, text
    items = 7 * 6 + 6 + 3 * 6 + 4 * 6 + (1 * 6 + 6) + (4 * 6 + 6)
    users = 9 * 6 + 6 + 3 * 6  # interactions, age
    for model, n_item, n_user in ((SiBraR, 1, 1), (MuBraR, 5, 2)):
        made = make(model)
        assert sum(p.numel() for p in made.item_encoder.parameters()) == items + n_item * 89
        assert sum(p.numel() for p in made.user_encoder.parameters()) == users + n_user * 89


def paradigms() -> dict[str, tuple[str, dict[str, Any]]]:
    file = properties() / "quick_start_config" / "training_paradigms.yaml"
    found = {}
    for line in yaml.safe_load(file.read_text(encoding="utf-8"))["model_list"]:
        name, _, rest = line.partition("=")
        model, *settings = rest.split(":")
        pairs = (setting.split("=") for setting in settings)
        found[name] = model, {key: yaml.safe_load(value) for key, value in pairs}
    return found


def test_the_paradigms_are_the_whole_grid() -> None:
    cells = [
        (model, keys["modality_sampling"], keys["contrastive"] != "none")
        for model, keys in paradigms().values()
    ]
    assert set(cells) == set(product(["SiBraR", "MuBraR"], [True, False], [True, False]))
    assert len(cells) == 8


@pytest.mark.parametrize("name", paradigms())
def test_every_paradigm_trains(make_model: Make, name: str) -> None:
    model, settings = paradigms()[name]
    _, network, train, *_ = make_model(model=model, **settings)
    assert len(network.item_encoder.branches) == (1 if model == "SiBraR" else 5)
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = network.calculate_loss(next(iter(train)))
    assert isinstance(loss, tuple) == (settings["contrastive"] == "pairwise")
    total(loss).backward()
    optimizer.step()
    assert all(torch.isfinite(value).all() for value in network.parameters())
    changed = {
        key for key, value in network.named_parameters() if not torch.equal(value, before[key])
    }
    assert {
        f"item_encoder.branches.{m}.0.weight" for m in range(len(network.item_encoder.branches))
    } <= changed
