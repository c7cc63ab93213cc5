from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from recbole.trainer import Trainer
from recbole.utils import get_trainer

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError

Build = Callable[..., tuple[Any, ...]]


def fit(
    make_model: Build, stop_after: int | None = None, **settings: Any
) -> tuple[Trainer, list[dict[str, float]]]:
    """Train, until an epoch in which Ctrl-C is pressed; the trainer and the validation results."""
    config, model, train, valid, _ = make_model(
        stopping_step=100, save_learning_curve="curve.csv", **settings
    )
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.saved_model_file = "model.pth"
    results, validate = [], trainer._valid_epoch

    def remember(*args: Any, **kwargs: Any) -> Any:
        score, result = validate(*args, **kwargs)
        results.append(dict(result))
        return score, result

    def press(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    trainer._valid_epoch = remember
    try:
        trainer.fit(train, valid, callback_fn=press)
    except KeyboardInterrupt:
        assert stop_after is not None
    return trainer, results


def curve() -> pd.DataFrame:
    return pd.read_csv("curve.csv", float_precision="round_trip")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "eval_step"), [("BPR", 1), ("SiBraR", 1), ("BPR", 2)])
def test_each_validation_has_a_row(make_model: Build, model: str, eval_step: int) -> None:
    trainer, results = fit(make_model, model=model, epochs=4, eval_step=eval_step)
    rows = curve()
    assert rows["epoch"].tolist() == [epoch for epoch in range(4) if (epoch + 1) % eval_step == 0]
    assert rows["train_loss"].tolist() == [
        trainer.train_loss_dict[epoch] for epoch in rows["epoch"]
    ]
    assert rows.drop(columns=["epoch", "train_loss"]).to_dict("records") == results
    assert len(results) == 4 / eval_step


def test_parts_of_a_loss_are_summed(make_model: Build) -> None:
    trainer, _ = fit(make_model, model="SGL", epochs=2)
    losses = [trainer.train_loss_dict[epoch] for epoch in range(2)]
    assert curve()["train_loss"].tolist() == [
        float(sum(x) if isinstance(x, tuple) else x) for x in losses
    ]


@pytest.mark.parametrize("stop_after", [1, 2])
def test_resumed_run_continues_the_file(make_model: Build, stop_after: int) -> None:
    settings = {"model": "BPR", "epochs": 6, "learning_rate": 0.01}
    fit(make_model, **settings)
    expected = Path("curve.csv").read_bytes()
    Path("curve.csv").unlink()
    fit(make_model, stop_after, **settings)
    assert len(curve()) == stop_after + 1
    fit(make_model, resume="model.pth", **settings)
    assert Path("curve.csv").read_bytes() == expected


def test_new_run_starts_a_new_file(make_model: Build) -> None:
    for epochs in (4, 2):
        fit(make_model, model="BPR", epochs=epochs)
        assert curve()["epoch"].tolist() == list(range(epochs))


def test_resumed_run_without_a_file(make_model: Build) -> None:
    fit(make_model, 1, model="BPR", epochs=4, learning_rate=0.01)
    Path("curve.csv").unlink()
    fit(make_model, resume="model.pth", model="BPR", epochs=4, learning_rate=0.01)
    rows = curve()["epoch"].tolist()
    assert rows == list(range(rows[0], 4))


def test_other_evaluations_write_nothing(make_model: Build) -> None:
    config, model, _, valid, test = make_model(model="BPR", save_learning_curve="curve.csv")
    trainer = Trainer(config, model)
    for loader in (valid, test):
        trainer.evaluate(loader, load_best_model=False)
    assert not Path("curve.csv").exists()


def test_later_evaluation_changes_nothing(make_model: Build) -> None:
    config, model, train, valid, test = make_model(
        model="BPR", epochs=3, eval_step=2, save_learning_curve="folder/curve.csv"
    )
    trainer = Trainer(config, model)
    trainer.fit(train, valid)
    before = Path("folder/curve.csv").read_bytes()
    for loader in (valid, test):
        trainer.evaluate(loader, load_best_model=False)
    assert Path("folder/curve.csv").read_bytes() == before
    assert [file.name for file in Path("folder").iterdir()] == ["curve.csv"]


def test_unwritable_file_is_one_line(make_model: Build) -> None:
    Path("file").write_text("")
    allowed = r"allowed is the path of a file that ends in \.csv"
    with pytest.raises(ConfigError, match=rf"^save_learning_curve: found 'curve\.txt', {allowed}"):
        make_model(model="BPR", save_learning_curve="curve.txt")
    config, model, train, valid, _ = make_model(model="BPR", save_learning_curve="file/curve.csv")
    with pytest.raises(DataError, match=r"^save_learning_curve: cannot write file/curve\.csv: "):
        Trainer(config, model).fit(train, valid)
