"""An epoch has the number that RecBole's log gives it, wherever a user meets it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from recbole.trainer import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Build = Callable[..., tuple[Any, ...]]
KEYS = {
    "epochs": 3,
    "save_learning_curve": "curve.csv",
    "gap_every": 1,
    "save_gap": "gap.csv",
    "stopping_step": 100,
}


def in_log(text: str, pattern: str) -> list[int]:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [int(number) for number in re.findall(pattern, plain)]


def test_files_count_as_the_log(make_model: Build, caplog: pytest.LogCaptureFixture) -> None:
    config, network, train, valid, _ = make_model(item_modalities=["interactions", "text"], **KEYS)
    caplog.set_level(logging.INFO)
    trainer = Trainer(config, network)
    trainer.fit(train, valid, show_progress=False)
    trained = in_log(caplog.text, r"epoch (\d+) training")
    assert trained == [0, 1, 2]
    assert in_log(caplog.text, r"epoch (\d+) evaluating") == trained

    assert pd.read_csv("curve.csv")["epoch"].tolist() == trained
    trainer.tensorboard.flush()
    events = EventAccumulator(trainer.tensorboard.log_dir).Reload()
    for tag in ("Valid/ndcg@10", "Loss/recommendation", "Vaild_score"):
        assert [event.step for event in events.Scalars(tag)] == trained

    measured = sorted(pd.read_csv("gap.csv")["epochs"].unique())
    assert measured == [0, *(epoch + 1 for epoch in trained)]  # how many epochs were trained so far
