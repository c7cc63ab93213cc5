"""Circumstances of resumed runs; the contract of models covers each model."""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.trainer import state

Build = Callable[..., tuple[Any, ...]]
HARD = {
    "epochs": 6,
    "dropout_prob": 0.3,
    "batch_norm": "last",
    "user_modalities": "auto",
    "stopping_step": 100,
}


def parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def train(
    make_model: Build, file: Path, stop_after: int | None = None, **settings: Any
) -> dict[str, Any]:
    """Train to the end, or press Ctrl-C after an epoch, and collect the results."""
    config, model, train_data, valid_data, test_data = make_model(**settings)
    trainer = Trainer(config, model)
    trainer.saved_model_file = str(file)

    def press(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    try:
        score, result = trainer.fit(train_data, valid_data, callback_fn=press)
    except KeyboardInterrupt:
        return {}
    last = parameters(model)
    assert type(result) is OrderedDict  # which RecBole prints
    return {
        "score": score,
        "valid": dict(result),
        "test": dict(trainer.evaluate(test_data)),
        "last": last,
        "losses": trainer.train_loss_dict,
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["score"] == expected["score"]
    assert found["valid"] == expected["valid"]
    assert found["test"] == expected["test"]
    assert found["losses"] == expected["losses"]
    for name, value in expected["last"].items():
        assert torch.equal(found["last"][name], value), name


@pytest.mark.slow
@pytest.mark.parametrize("worker", [0, 2])
@pytest.mark.parametrize("stop_after", [0, 3])
def test_resumed_run_ends_as_a_whole_one(
    make_model: Build, tmp_path: Path, stop_after: int, worker: int
) -> None:
    expected = train(make_model, tmp_path / "whole.pth", **HARD)
    checkpoint = tmp_path / "part.pth"
    assert train(make_model, checkpoint, stop_after, worker=worker, **HARD) == {}
    assert_same(train(make_model, checkpoint, resume=str(checkpoint), **HARD), expected)


START = {
    "warm_start": "ease",
    "branch_hidden_sizes": [],
    "batch_norm": "none",
    "modality_size": 64,
    "embedding_size": 64,
    "learning_rate": 1e-4,
    "ema_decay": 0.9,
    "epochs": 3,
}


@pytest.mark.slow
def test_resumed_run_has_no_start_of_its_own(
    make_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**START, "checkpoint_dir": str(tmp_path)}
    # a run to resume that is not there begins as any other
    expected = train(make_model, tmp_path / "whole.pth", **keys)
    assert_same(train(make_model, tmp_path / "new.pth", resume="auto", **keys), expected)

    checkpoint = tmp_path / "part.pth"
    assert train(make_model, checkpoint, 0, **keys) == {}
    monkeypatch.delattr("recbole_sibrar.model.training.warm_start.start_factors")
    with pytest.raises(NameError, match="start_factors"):
        train(make_model, tmp_path / "other.pth", **keys)
    assert_same(train(make_model, checkpoint, resume=str(checkpoint), **keys), expected)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_interruption_within_an_epoch(make_model: Build, tmp_path: Path, model: str) -> None:
    settings = {**HARD, "epochs": 4} if model == "SiBraR" else {"epochs": 4}
    settings |= {"model": model, "train_batch_size": 64, "learning_rate": 0.01}
    expected = train(make_model, tmp_path / "whole.pth", **settings)
    checkpoint = tmp_path / "part.pth"
    config, network, train_data, valid_data, _ = make_model(**settings)
    trainer, steps = Trainer(config, network), []
    trainer.saved_model_file = str(checkpoint)
    calculate_loss = network.calculate_loss

    def press(interaction: Any) -> Any:
        steps.append(len(trainer.train_loss_dict))
        if steps[-2:] == [2, 2]:
            raise KeyboardInterrupt
        return calculate_loss(interaction)

    network.calculate_loss = press
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(train_data, valid_data)
    assert_same(train(make_model, checkpoint, resume=str(checkpoint), **settings), expected)


def test_early_stop_of_a_resumed_run(make_model: Build, tmp_path: Path) -> None:
    settings = {"model": "BPR", "epochs": 60, "stopping_step": 4}
    expected = train(make_model, tmp_path / "whole.pth", **settings)
    last = max(expected["losses"])
    assert 5 < last < 59
    checkpoint = tmp_path / "part.pth"
    assert train(make_model, checkpoint, last - 1, **settings) == {}
    assert_same(train(make_model, checkpoint, resume=str(checkpoint), **settings), expected)


@pytest.mark.slow
def test_validation_every_few_epochs(make_model: Build, tmp_path: Path) -> None:
    settings = {**HARD, "eval_step": 2}
    expected = train(make_model, tmp_path / "whole.pth", **settings)
    checkpoint = tmp_path / "part.pth"
    assert train(make_model, checkpoint, 3, **settings) == {}
    assert_same(train(make_model, checkpoint, resume=str(checkpoint), **settings), expected)


@pytest.mark.slow
def test_finished_run_can_be_prolonged(
    make_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = Trainer._valid_epoch

    def better_each_epoch(trainer: Trainer, *args: Any, **kwargs: Any) -> tuple[float, Any]:
        return len(trainer.train_loss_dict), validate(trainer, *args, **kwargs)[1]

    # so that there is a checkpoint of each
    monkeypatch.setattr(Trainer, "_valid_epoch", better_each_epoch)
    settings = {"learning_rate": 0.01, "stopping_step": 100}
    expected = train(make_model, tmp_path / "whole.pth", epochs=4, **settings)
    checkpoint = tmp_path / "part.pth"
    train(make_model, checkpoint, epochs=2, **settings)
    assert load_checkpoint(str(checkpoint))["epoch"] == 1
    train(make_model, checkpoint, epochs=2, resume=str(checkpoint), **settings)
    assert load_checkpoint(str(checkpoint))["epoch"] == 1
    assert_same(
        train(make_model, checkpoint, epochs=4, resume=str(checkpoint), **settings), expected
    )


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"embedding_size": 8}, {"learner": "sgd"}, {"model": "BPR"}])
def test_checkpoint_of_another_model(
    make_model: Build, tmp_path: Path, changed: dict[str, Any]
) -> None:
    checkpoint = tmp_path / "other.pth"
    train(make_model, checkpoint, epochs=1)
    with pytest.raises((ValueError, Exception)) as refused:
        train(make_model, checkpoint, epochs=2, resume=str(checkpoint), **changed)
    assert isinstance(refused.value, ValueError), repr(refused.value)
    assert str(checkpoint) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_checkpoint_without_random_states(
    make_model: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tmp_path / "plain.pth"
    train(make_model, checkpoint, 1, model="BPR", epochs=3)
    content = load_checkpoint(str(checkpoint))
    del content[state.STATE]
    torch.save(content, checkpoint)
    config, model, train_data, valid_data, _ = make_model(
        model="BPR", epochs=3, resume=str(checkpoint)
    )
    trainer = Trainer(config, model)
    trainer.fit(train_data, valid_data)
    assert "was written without recbole_sibrar" in caplog.text
    assert set(trainer.train_loss_dict) == set(range(content["epoch"] + 1, 3))


def test_own_trainers_cannot_be_resumed(make_config: Callable[..., Config]) -> None:
    with pytest.raises(
        ConfigError, match=r"resume: found 'x\.pth', but RecVAE has a trainer of its own"
    ):
        make_config(model="RecVAE", resume="x.pth")


def test_failed_write_keeps_the_checkpoint(
    make_model: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model, train_data, valid_data, _ = make_model(epochs=1)
    trainer = Trainer(config, model)
    trainer.saved_model_file = str(tmp_path / "model.pth")
    trainer.fit(train_data, valid_data)
    before = Path(trainer.saved_model_file).read_bytes()

    def disk_full(state: Any, stream: Any, **kwargs: Any) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(
        DataError, match=r"model\.pth: No space left on device; .*-last\.pth is intact"
    ):
        trainer._save_checkpoint(1)
    assert Path(trainer.saved_model_file).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
