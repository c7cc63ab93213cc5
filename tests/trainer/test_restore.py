"""Which file a run goes on from, and what is said where none fits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.trainer.state import random_state, set_random_state

Build = Callable[..., tuple[Any, ...]]
PLAIN = {
    "model": "BPR",
    "epochs": 5,
    "learning_rate": 0.01,
    "checkpoint_dir": "saved",
    "stopping_step": 100,
}


def train(
    make_model: Build, stop_after: int | None = None, file: str | None = None, **settings: Any
) -> Trainer:
    """Train and test, or until Ctrl-C is pressed after an epoch."""
    config, model, train_data, valid_data, test_data = make_model(**{**PLAIN, **settings})
    trainer = Trainer(config, model)
    if file:
        trainer.saved_model_file = file

    def press(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    try:
        trainer.fit(train_data, valid_data, callback_fn=press)
    except KeyboardInterrupt:
        return trainer
    trainer.last = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.evaluate(test_data)
    return trainer


def assert_same(found: Trainer, expected: Trainer) -> None:
    assert found.train_loss_dict == expected.train_loss_dict
    assert all(torch.equal(found.last[name], value) for name, value in expected.last.items())


def states() -> list[str]:
    return sorted(
        file.name
        for file in Path("saved").glob("*-*.pth")
        if file.stem.endswith(("-last", "-previous"))
    )


def test_kill_between_best_and_latest(make_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    validate = Trainer._valid_epoch

    def better_each_epoch(trainer: Trainer, *args: Any, **kwargs: Any) -> tuple[float, Any]:
        return len(trainer.train_loss_dict), validate(trainer, *args, **kwargs)[1]

    monkeypatch.setattr(Trainer, "_valid_epoch", better_each_epoch)
    expected = train(make_model)
    train(make_model, 2, "saved/a.pth")
    epochs = [
        load_checkpoint(f"saved/{name}.pth")["epoch"] for name in ("a", "a-last", "a-previous")
    ]
    assert epochs == [2, 1, 0]
    resumed = train(make_model, resume="saved/a-last.pth")
    assert resumed.start_epoch == 3
    assert_same(resumed, expected)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_previous_state_replaces_the_latest(
    make_model: Build, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    expected = train(make_model)
    train(make_model, 3, "saved/a.pth")
    last = Path("saved/a-last.pth")
    assert (
        load_checkpoint(str(last))["epoch"],
        load_checkpoint("saved/a-previous.pth")["epoch"],
    ) == (2, 1)
    if damage == "truncated":
        last.write_bytes(last.read_bytes()[:2000])
    else:
        last.unlink()
    # so that the best is not newer
    Path("saved/a.pth").write_bytes(Path("saved/a-previous.pth").read_bytes())
    assert_same(train(make_model, resume=str(last)), expected)
    said = [
        record.message
        for record in caplog.records
        if "goes on with saved/a-previous.pth" in record.message
    ]
    assert len(said) == (damage == "truncated")


def test_a_run_of_two_gpus_goes_on_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    state, found = random_state(), []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, index: found.append((state.tolist(), index))
    )
    set_random_state({**state, "cuda": [torch.tensor([1]), torch.tensor([2])]})
    assert found == [([1], 0)]


def test_deleted_best_parameters(make_model: Build) -> None:
    train(make_model, 3, "saved/a.pth")
    Path("saved/a.pth").unlink()
    with pytest.raises(
        CheckpointError, match=r"saved/a-last\.pth needs saved/a\.pth, the best parameters so far"
    ):
        train(make_model, resume="saved/a-last.pth")


def test_states_are_removed_after_the_test(make_model: Build) -> None:
    train(make_model, 3, "saved/a.pth")
    assert states() == ["a-last.pth", "a-previous.pth"]
    train(make_model, resume="saved/a-last.pth")
    assert states() == []
    config, model, train_data, valid_data, _ = make_model(**PLAIN)
    Trainer(config, model).fit(train_data, valid_data, saved=False)
    assert states() == []
    train(make_model, 3, "saved/b.pth", checkpoint_every=None)
    assert states() == []
    train(make_model, 4, "saved/c.pth", checkpoint_every=3)
    assert states() == ["c-last.pth"]
    assert load_checkpoint("saved/c-last.pth")["epoch"] == 2


def test_auto_takes_the_newest_run(make_model: Build, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    expected = train(make_model, resume="auto", state="INFO")
    assert "starts anew" in caplog.text
    train(make_model, 3, "saved/a.pth")
    train(make_model, 2, "saved/b.pth")
    train(make_model, 3, "saved/c.pth", learning_rate=0.02)
    train(make_model, 3, "saved/d.pth", epochs=6)
    resumed = train(make_model, resume="auto", state="INFO", show_progress=False)
    assert resumed.saved_model_file == "saved/b.pth"
    assert_same(resumed, expected)
    assert states() == [f"{name}-{kind}.pth" for name in "acd" for kind in ("last", "previous")]


def test_auto_skips_foreign_checkpoints(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    train(make_model, 3, "saved/a.pth", state="INFO")
    content = load_checkpoint("saved/a-last.pth")
    del content["training_state"]
    torch.save(content, "saved/b-last.pth")
    os.utime("saved/b-last.pth", (2e9, 2e9))  # the newest
    assert train(make_model, resume="auto", state="INFO").saved_model_file == "saved/a.pth"
    assert "left out: saved/b-last.pth, which was written without recbole_sibrar" in caplog.text


def test_auto_skips_a_running_run(make_model: Build) -> None:
    train(make_model, 3, "saved/a.pth")
    started = psutil.Process(os.getppid()).create_time()

    def owned_since(start: float) -> None:
        for file in ("saved/a.pth", "saved/a-last.pth"):
            content = load_checkpoint(file)
            content["training_state"]["process"] |= {"id": os.getppid(), "start": start}
            torch.save(content, file)

    owned_since(started)
    assert train(make_model, resume="auto").start_epoch == 0
    owned_since(started - 1000)  # since when its number was given to another
    assert train(make_model, resume="auto").start_epoch > 0


def test_other_keys_show_both_values(make_model: Build, caplog: pytest.LogCaptureFixture) -> None:
    train(make_model, 3, "saved/a.pth", state="WARNING")
    train(
        make_model,
        resume="saved/a-last.pth",
        state="WARNING",
        epochs=6,
        stopping_step=7,
        checkpoint_dir="other",
    )
    assert "configuration" not in caplog.text
    train(make_model, 3, "saved/a.pth", state="WARNING")
    train(
        make_model,
        resume="saved/a-last.pth",
        state="WARNING",
        learning_rate=0.5,
        train_batch_size=64,
    )
    (said,) = [record.message for record in caplog.records if "configuration" in record.message]
    assert said.endswith(
        "(learning_rate: 0.01 there, 0.5 here, train_batch_size: 512 there, 64 here)"
    )


def test_unwritable_folder_fails_early(make_model: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("file/below", "/proc/nowhere", "/proc/self"):
        with pytest.raises(DataError, match=rf"checkpoint_dir: cannot (make|write) {folder}"):
            train(make_model, checkpoint_dir=folder)


def test_full_disk_leaves_the_last_state(
    make_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(make_model)
    save, written = torch.save, []

    def full(state: Any, stream: Any, **kwargs: Any) -> None:
        written.append(stream.name)
        if len(written) < 5:
            save(state, stream, **kwargs)
        else:
            with open("/dev/full", "wb") as device:
                save(state, device, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError) as refused:
        train(make_model, file="saved/a.pth")
    monkeypatch.setattr(torch, "save", save)
    line = str(refused.value)
    assert line.startswith("cannot write saved/a")
    assert (
        "No space left on device; saved/a-last.pth is intact, and --resume=saved/a-last.pth continues this run"
        in line
    )
    assert not list(Path("saved").glob("*.part"))
    assert_same(train(make_model, resume="saved/a-last.pth"), expected)


@pytest.mark.parametrize("value", ["often", -1, 1.5])
def test_wrong_checkpoint_every(make_config: Callable[..., Any], value: Any) -> None:
    with pytest.raises(ConfigError, match="checkpoint_every: found"):
        make_config(checkpoint_every=value)


def test_resume_with_averaged_weights(make_model: Build) -> None:
    keys = {"model": "SiBraR", "ema_decay": 0.9, "epochs": 4}
    expected = train(make_model, **keys)
    train(make_model, 1, "saved/a.pth", **keys)
    resumed = train(make_model, **keys, resume="saved/a-last.pth")
    assert resumed.start_epoch == 2
    assert_same(resumed, expected)

    # the names of the parameters have the average, which the model was validated with
    state = load_checkpoint(resumed.saved_model_file)["state_dict"]
    name = "item_encoder.branches.0.0.weight"
    assert bool(state["average.in_use"])
    assert not torch.equal(state[name], state[f"average.{name.replace('.', '/')}"])
