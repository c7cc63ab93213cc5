"""A default that does not fit the data gives way with a line in the log; what the user asked for is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.dropoutnet import DropoutNet

MakeConfig = Callable[..., Config]
MakeModel = Callable[..., tuple[Any, ...]]


def without_fields(folder: Path) -> None:
    for suffix in ("item", "user"):
        (folder / "tiny" / f"tiny.{suffix}").unlink()


@pytest.mark.parametrize("model", ["SiBraR", "MuBraR"])
def test_interactions_alone(
    make_model: MakeModel, tiny_folder: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    without_fields(tiny_folder)
    caplog.set_level(logging.INFO)
    _, built, train, _, _ = make_model(model=model)
    assert "there is no contrastive loss, as it needs a side with two modalities" in caplog.text
    loss = built.calculate_loss(next(iter(train)))
    assert not isinstance(loss, tuple)


@pytest.mark.parametrize("key", ["contrastive", "item_contrastive"])
def test_a_loss_that_was_asked_for(make_model: MakeModel, tiny_folder: Path, key: str) -> None:
    without_fields(tiny_folder)
    with pytest.raises(ConfigError, match=f"^{key}: found 'pairwise' with a single modality"):
        make_model(**{key: "pairwise"})


def test_negatives_by_popularity(make_model: MakeModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    popular = {"distribution": "popularity"}
    _, built, *_ = make_model(train_neg_sample_args=popular)
    assert (built.settings.loss_type, built.settings.n_negatives) == ("BPR", 10)
    assert "loss_type: BPR with negatives by popularity" in caplog.text
    with pytest.raises(
        ConfigError, match="distribution: uniform, which loss_type SSM corrects for"
    ):
        make_model(train_neg_sample_args=popular, loss_type="SSM")


def test_few_users_for_a_decomposition(
    make_config: MakeConfig, make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    """A decomposition of 30 users has at most as many dimensions; the default is 64."""
    with pytest.raises(ConfigError, match=r"^preference_size: found 64, allowed is at most 30"):
        make_model(model="DropoutNet", load_col=None, preference_size=64)

    keys = dict(make_config("DropoutNet", load_col=None).variable_config_dict)
    del keys["preference_size"]
    config = Config("DropoutNet", "tiny", config_dict=keys)
    train, _, _ = data_preparation(config, create_dataset(config))
    caplog.set_level(logging.INFO)
    model = DropoutNet(config, train.dataset)
    assert model.user_preferences.shape == (31, 30)
    assert (
        "preference_size: 30, as there are too few users or items for the default 64" in caplog.text
    )
