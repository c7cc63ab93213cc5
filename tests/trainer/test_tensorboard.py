from __future__ import annotations

import math
import sys
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import recbole_sibrar
from recbole_sibrar.config import ConfigError
from recbole_sibrar.trainer.tensorboard import loss_parts

Build = Callable[..., tuple[Any, ...]]
Scalars = dict[str, dict[int, float]]
BOTH_SIDES = {"user_modalities": "auto", "item_modalities": "auto"}


def fit(
    make_model: Build, prepare: Callable[[Trainer], None] | None = None, **settings: Any
) -> Trainer:
    """Train as RecBole does; ``prepare`` changes the trainer before."""
    config, model, train, valid, _ = make_model(stopping_step=100, **settings)
    trainer = Trainer(config, model)
    if prepare:
        prepare(trainer)
    trainer.fit(train, valid, saved=False)
    return trainer


def written(trainer: Trainer, prefix: str = "") -> Scalars:
    """The scalars in the trainer's event files whose tag starts with a prefix, by the rest of the tag and step."""
    trainer.tensorboard.flush()
    events = EventAccumulator(trainer.tensorboard.log_dir, size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(prefix)]
    return {
        tag.removeprefix(prefix): {event.step: event.value for event in events.Scalars(tag)}
        for tag in tags
    }


def test_training_leaves_no_thread(make_model: Build) -> None:
    before = set(threading.enumerate())
    trainer = fit(make_model)
    assert not [
        thread
        for thread in set(threading.enumerate()) - before
        if "tensorboard" in type(thread).__module__
    ]
    assert len(written(trainer, "Vaild_score")[""]) == 2  # RecBole's own tag


@pytest.mark.slow
def test_the_parts_of_the_loss_have_names(make_model: Build) -> None:
    losses: list[float] = []

    def watch(trainer: Trainer) -> None:
        recommend = trainer.model.recommendation_loss

        def recommendation_loss(*args: Any) -> Any:
            loss = recommend(*args)
            losses.append(loss.item())
            return loss

        trainer.model.recommendation_loss = recommendation_loss

    trainer = fit(make_model, watch, train_batch_size=64, **BOTH_SIDES, user_contrastive_weight=0.0)
    found, n_batches = written(trainer, "Loss/"), len(losses) // 2
    epochs = (losses[:n_batches], losses[n_batches:])
    assert n_batches > 1
    assert found["recommendation"] == {epoch: pytest.approx(sum(epochs[epoch])) for epoch in (0, 1)}
    assert found["contrastive_user"] == {0: 0, 1: 0}
    items = {
        epoch: pytest.approx(trainer.train_loss_dict[epoch] - sum(epochs[epoch]), rel=1e-3)
        for epoch in (0, 1)
    }
    assert found["contrastive_item"] == items
    assert min(found["contrastive_item"].values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"contrastive": "none"}, {"recommendation"}),
        ({"user_contrastive": "none"}, {"recommendation", "contrastive_item"}),
        ({"item_contrastive": "none"}, {"recommendation", "contrastive_user"}),
        ({"model": "DropoutNet"}, {"recommendation"}),
        (
            {"model": "CLCRec", "item_modalities": ["text"], "user_modalities": ["id"]},
            {"recommendation", "contrastive_item"},
        ),
    ],
)
def test_existing_parts_have_names(
    make_model: Build, settings: dict[str, Any], names: set[str]
) -> None:
    found = written(fit(make_model, epochs=1, **{**BOTH_SIDES, **settings}), "Loss/")
    assert {name for name in found if not name.startswith("Train")} == names


def test_other_parts_have_no_names(make_model: Build) -> None:
    _, model, *_ = make_model(contrastive="none")
    assert loss_parts(model, 2.5) == {"Loss/recommendation": 2.5}
    assert loss_parts(model, (2.5, 1.0)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"contrastive": "none"},
        {"contrastive": "pairwise"},
        {"item_contrastive": "central", "item_central_modality": "text"},
        {"modality_sampling": False},
        {"model": "MuBraR", "modality_sampling": True},
    ],
)
def test_shares_of_the_draws(
    make_model: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, settings: dict[str, Any]
) -> None:
    settings = {"train_batch_size": 256, **BOTH_SIDES, **settings}
    found = written(fit(make_model, **settings), "Drawn/")
    epochs: list[Counter[str]] = []

    def watch(trainer: Trainer) -> None:
        for side in ("user", "item"):
            watch_side(trainer.model.encoder_of(side), side)
        train_epoch = trainer._train_epoch

        def new_epoch(*args: Any, **kwargs: Any) -> Any:
            epochs.append(Counter())
            return train_epoch(*args, **kwargs)

        trainer._train_epoch = new_epoch

    def watch_side(encoder: Any, side: str) -> None:
        draw = encoder.draw

        def watched(*args: Any) -> Any:
            columns, mask = draw(*args)
            for row, there in zip(columns.tolist(), mask.tolist(), strict=True):
                epochs[-1].update(
                    f"{side}/{encoder.modalities[m]}"
                    for m, ok in zip(row, there, strict=True)
                    if ok
                )
            return columns, mask

        encoder.draw = watched

    monkeypatch.chdir(tmp_path / "dataset")
    fit(make_model, watch, tensorboard="none", **settings)
    for epoch, counts in enumerate(epochs):
        for side in ("user", "item"):
            total = sum(n for name, n in counts.items() if name.startswith(side))
            of_side = {
                name: values[epoch] for name, values in found.items() if name.startswith(side)
            }
            assert of_side == {name: pytest.approx(counts[name] / total) for name in of_side}
            assert sum(of_side.values()) == pytest.approx(1)
            assert {name for name in counts if name.startswith(side)} <= set(of_side)
    assert len(epochs) == 2


def test_no_draws_have_no_shares(make_model: Build) -> None:
    trainer = fit(make_model, modality_sampling=False, contrastive="none", **BOTH_SIDES)
    assert written(trainer, "Drawn/") == {}
    assert written(trainer, "Valid/") != {}


@pytest.mark.parametrize(("model", "eval_step"), [("SiBraR", 1), ("BPR", 2)])
def test_every_validation_metric_is_there(make_model: Build, model: str, eval_step: int) -> None:
    results = []

    def watch(trainer: Trainer) -> None:
        validate = trainer._valid_epoch

        def remember(*args: Any, **kwargs: Any) -> Any:
            score, result = validate(*args, **kwargs)
            results.append(dict(result))
            return score, result

        trainer._valid_epoch = remember

    trainer = fit(
        make_model,
        watch,
        model=model,
        epochs=4,
        eval_step=eval_step,
        metrics=["NDCG", "Recall"],
        topk=[5, 10],
        valid_metric="NDCG@5",
    )
    found = written(trainer, "Valid/")
    steps = [epoch for epoch in range(4) if (epoch + 1) % eval_step == 0]
    assert set(found) == {"ndcg@5", "ndcg@10", "recall@5", "recall@10"}
    for metric, values in found.items():
        assert values == {
            step: pytest.approx(result[metric]) for step, result in zip(steps, results, strict=True)
        }


def test_other_evaluations_write_nothing(make_model: Build) -> None:
    config, model, _, valid, _ = make_model()
    trainer = Trainer(config, model)
    trainer._valid_epoch(valid)
    assert written(trainer) == {}


@pytest.mark.slow
@pytest.mark.parametrize("model", [*recbole_sibrar.MODELS, "BPR"])
def test_what_is_written_changes_no_result(
    make_model: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, model: str
) -> None:
    settings = {"model": model, "stopping_step": 100, "train_batch_size": 128}
    if model in recbole_sibrar.MODELS:
        settings |= {} if model == "VBPR" else {"dropout_prob": 0.2}
        settings |= {} if model == "CLCRec" else BOTH_SIDES
    runs = []
    for value in ("none", "embeddings"):  # the second writes the scalars too
        (tmp_path / value).mkdir()
        config, network, train, valid, test = make_model(tensorboard=value, **settings)
        monkeypatch.chdir(tmp_path / value)
        trainer = Trainer(config, network)
        best = trainer.fit(train, valid)
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        runs.append(
            (
                best,
                trainer.train_loss_dict,
                torch.get_rng_state().tolist(),
                trainer.evaluate(test),
                state,
            )
        )
    without, with_all = runs
    assert with_all[:-1] == without[:-1]
    for name, tensor in with_all[-1].items():
        assert torch.equal(tensor, without[-1][name]), name


def test_none_leaves_all_to_recbole(make_model: Build) -> None:
    counting: list[bool] = []

    def watch(trainer: Trainer) -> None:
        calculate = trainer.model.calculate_loss

        def calculate_loss(*args: Any) -> Any:
            counting.append(trainer.model.item_encoder.sampler.counts is not None)
            return calculate(*args)

        trainer.model.calculate_loss = calculate_loss

    trainer = fit(make_model, watch, tensorboard="none")
    assert set(written(trainer)) <= {
        "Loss/Train",
        "Loss/Train0",
        "Loss/Train1",
        "Loss/Train2",
        "Vaild_score",
    }
    assert set(counting) == {False}
    counting.clear()
    trainer = fit(make_model, watch)
    assert set(counting) == {True}
    assert trainer.model.item_encoder.sampler.counts is None


def test_interruption_stops_counting(make_model: Build) -> None:
    def press(*args: Any) -> None:
        raise KeyboardInterrupt

    config, model, train, valid, _ = make_model()
    model.calculate_loss = press
    with pytest.raises(KeyboardInterrupt):
        Trainer(config, model).fit(train, valid)
    assert model.item_encoder.sampler.counts is None


class Wandb(SimpleNamespace):
    """Stands in for the package: messages with ``commit=False`` are put together with the next one."""

    def __init__(self) -> None:
        super().__init__(run=None, rows=[{}])

    def init(self, **settings: Any) -> None:
        self.run = SimpleNamespace(summary={})

    def define_metric(self, *args: Any, **settings: Any) -> None:
        pass

    def log(self, values: dict[str, Any], commit: bool) -> None:
        self.rows[-1].update(values)
        if commit:
            self.rows.append({})


def test_wandb_gets_the_same_scalars(make_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    trainer = fit(make_model, log_wandb=True, **BOTH_SIDES)
    scalars, ours = written(trainer), 0
    training = [row for row in wandb.rows if "train_step" in row]
    validation = [row for row in wandb.rows if "valid_step" in row]
    assert (
        [row["train_step"] for row in training]
        == [row["valid_step"] for row in validation]
        == [0, 1]
    )
    for tag, values in scalars.items():
        if tag.startswith("Valid/"):
            assert values == {
                row["valid_step"]: pytest.approx(row[tag.replace("V", "v", 1)])
                for row in validation
            }
        elif not tag.startswith(("Loss/Train", "Vaild_score")):
            assert values == {
                row["train_step"]: pytest.approx(row[f"train/{tag}"]) for row in training
            }
            ours += 1
    assert ours == 3 + len(trainer.model.item_encoder.modalities) + len(
        trainer.model.user_encoder.modalities
    )
    assert all("train/train_loss" in row for row in training)  # RecBole's own, in the same step


def test_training_needs_no_wandb(make_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    trainer = fit(make_model, epochs=1)
    assert math.isfinite(written(trainer, "Loss/")["recommendation"][0])


def test_an_unknown_value_ends_in_one_line(make_model: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"^tensorboard: found 'scalar', allowed is one of none, .*'scalars'\?$"
    ):
        make_model(model="BPR", tensorboard="scalar")
