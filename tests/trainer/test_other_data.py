"""Resuming and evaluating with data that are not those of training."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.errors import CheckpointError

Build = Callable[..., tuple[Any, ...]]
Change = Callable[[list[str]], list[str]]
KEYS = {"epochs": 4, "learning_rate": 0.01, "checkpoint_dir": "saved", "stopping_step": 100}
LAST = "saved/a-last.pth"


def train(make_model: Build, stop_after: int | None = None, **settings: Any) -> Trainer:
    """Train and test, or until Ctrl-C is pressed after an epoch."""
    config, model, train_data, valid_data, test_data = make_model(**{**KEYS, **settings})
    trainer = Trainer(config, model)
    if stop_after is not None:
        trainer.saved_model_file = "saved/a.pth"

    def press(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    try:
        trainer.fit(train_data, valid_data, callback_fn=press)
    except KeyboardInterrupt:
        return trainer
    trainer.result = dict(trainer.evaluate(test_data))
    return trainer


def rewrite(folder: Path, suffix: str, change: Change) -> None:
    """Write the lines of a file of ``tiny`` anew, the header apart."""
    file = folder / "tiny" / f"tiny.{suffix}"
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([header, *change(lines)]) + "\n")


CHANGES = [
    (
        "SiBraR",
        "inter",
        lambda lines: ["u9\ti9\t3\t1", *lines],
        r"\.inter has \d+ lines instead of",
    ),
    ("SiBraR", "inter", lambda lines: lines[::-1], "another order of users, items, so that"),
    ("SiBraR", "inter", lambda lines: ["u1\tx\t3\t1", *lines], r"1 new item \(x\)"),
    ("SiBraR", "item", lambda lines: [*lines, "x\tc1\t\t\t"], r"1 new item \(x\)"),
    (
        "SiBraR",
        "item",
        lambda lines: [line.replace("\t1.0\t", "\t1.5\t") for line in lines],
        "values of price in .item",
    ),
    (
        "SiBraR",
        "user",
        lambda lines: [line.replace("\tc1\t", "\tc2\t") for line in lines],
        "values of gender in .user",
    ),
    ("BPR", "inter", lambda lines: lines[1:], r"\.inter has \d+ lines instead of"),
    ("BPR", "inter", lambda lines: [lines[1], lines[0], *lines[2:]], "another order of items"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "suffix", "change", "said"), CHANGES)
def test_a_changed_file_is_refused(
    make_model: Build, tiny_folder: Path, model: str, suffix: str, change: Change, said: str
) -> None:
    train(make_model, 2, model=model)
    rewrite(tiny_folder, suffix, change)
    with pytest.raises(CheckpointError, match=said) as refused:
        train(make_model, model=model, resume=LAST)
    assert re.match(
        r"resume: saved/a(-last)?\.pth was trained with other data than this run has: ",
        str(refused.value),
    )
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "changed",
    [{"seed": 3}, {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user"}}],
    ids=["seed", "ratios"],
)
def test_another_split_is_refused(make_model: Build, changed: dict[str, Any]) -> None:
    train(make_model, 2, model="BPR")
    with pytest.raises(CheckpointError, match=r"the split is another one \(training, validation"):
        train(make_model, model="BPR", resume=LAST, **changed)


def test_auto_starts_anew_with_changed_data(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    train(make_model, 2, model="BPR")
    rewrite(tiny_folder, "inter", lambda lines: lines[1:])
    resumed = train(make_model, model="BPR", resume="auto", state="INFO")
    assert resumed.start_epoch == 0
    assert f"left out: {LAST}, which was trained with other data: " in caplog.text
    assert resumed.result == train(make_model, model="BPR").result


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_equal_content_resumes_from_anywhere(
    make_model: Build, tiny_folder: Path, model: str
) -> None:
    expected = train(make_model, model=model).result
    train(make_model, 2, model=model)
    moved = tiny_folder.rename(tiny_folder.with_name("moved"))
    for suffix in ("inter", "item"):
        rewrite(moved, suffix, lambda lines: lines)  # with another time of change
    if model == "BPR":
        # which has no labels that would get other numbers
        rewrite(moved, "user", lambda lines: lines[::-1])
    resumed = train(make_model, model=model, resume=LAST, data_path=str(moved))
    assert resumed.start_epoch > 1
    assert resumed.result == expected


def test_order_is_irrelevant_if_split_sorts(make_model: Build, tiny_folder: Path) -> None:
    cold = {"model": "BPR", "eval_args": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}}
    expected = train(make_model, **cold).result
    train(make_model, 2, **cold)
    rewrite(tiny_folder, "inter", lambda lines: lines[::-1])
    assert train(make_model, resume=LAST, **cold).result == expected


def test_file_without_record_is_a_warning(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    expected = train(make_model, model="BPR").result
    train(make_model, 2, model="BPR")
    for file in ("saved/a.pth", LAST):
        content = load_checkpoint(file)
        del content["training_data"]
        torch.save(content, file)
    assert train(make_model, model="BPR", resume=LAST, state="WARNING").result == expected
    assert "does not say what data it was trained with" in caplog.text


def test_data_are_compared_in_manual_resume(make_model: Build, tiny_folder: Path) -> None:
    train(make_model, 2, model="BPR")
    rewrite(tiny_folder, "inter", lambda lines: lines[1:])
    config, model, train_data, valid_data, _ = make_model(**KEYS, model="BPR")
    trainer = Trainer(config, model)
    trainer.resume_checkpoint(LAST)
    with pytest.raises(CheckpointError, match=r"\.inter has \d+ lines instead of"):
        trainer.fit(train_data, valid_data)


def test_other_numbers_are_not_evaluated(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = train(make_model, model="BPR")
    file = expected.saved_model_file

    def evaluate() -> dict[str, float]:
        config, model, *_, test_data = make_model(**KEYS, model="BPR", state="WARNING")
        return dict(Trainer(config, model).evaluate(test_data, model_file=file))

    assert evaluate() == expected.result
    rewrite(tiny_folder, "inter", lambda lines: lines[:-1])
    assert evaluate() != expected.result
    assert (
        f"{file}: the data are not those that the model was trained with: .inter has" in caplog.text
    )
    rewrite(tiny_folder, "inter", lambda lines: lines[::-1])
    with pytest.raises(CheckpointError, match="another order of users, items"):
        evaluate()
