"""Model classes from outside the package in checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.errors import CheckpointError


class Declared:
    """A user's class held by a configuration."""


@pytest.fixture
def safe_globals() -> Iterator[None]:
    before = torch.serialization.get_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.mark.usefixtures("safe_globals")
def test_class_declared_safe_is_loaded(make_config: Callable[..., Config], tmp_path: Path) -> None:
    config = make_config(model="BPR")
    config.model_class = Declared
    file = tmp_path / "own.pth"
    torch.save({"config": config, "state_dict": {}}, file, pickle_protocol=4)
    with pytest.raises(CheckpointError, match=r"own\.pth.*Declared.*add_safe_globals"):
        load_checkpoint(str(file))
    torch.serialization.add_safe_globals([Declared])
    assert load_checkpoint(str(file))["config"].model_class is Declared


class Anything:
    """A user's value held by a model beside its parameters."""


class OwnModel(BPR):
    """A user's model outside of RecBole's modules."""

    other_parameter_name = ("kept",)

    def __init__(self, config: Config, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.kept = Anything()


def test_run_loads_its_own_checkpoint(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(model=OwnModel, embedding_size=8, epochs=1)
    train, valid, test = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, OwnModel(config, train.dataset))
    trainer.fit(train, valid)
    assert set(trainer.evaluate(test)) == {
        "recall@10",
        "mrr@10",
        "ndcg@10",
        "hit@10",
        "precision@10",
    }
    with pytest.raises(CheckpointError, match="Anything"):
        Trainer(config, OwnModel(config, train.dataset)).evaluate(
            test, model_file=trainer.saved_model_file
        )


def test_imported_model_class_is_allowed(make_config: Callable[..., Config]) -> None:
    config = make_config(model=OwnModel)
    torch.save({"config": config}, "own.pth")
    assert load_checkpoint("own.pth")["config"].model_class is OwnModel
