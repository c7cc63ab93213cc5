"""A user's subclass of a model of ours is treated like that model everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.utils import get_model, get_trainer, init_seed

from recbole_sibrar.data.dataloader import MultimodalTrainDataLoader
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.model.clcrec import CLCRec
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.model.sibrar import SiBraR

MakeConfig = Callable[..., Config]


class MySiBraR(SiBraR):
    """SiBraR under another name."""


class Grandchild(MySiBraR):
    """Derived twice."""


class MyCLCRec(CLCRec):
    """CLCRec under another name."""


class FromTheBase(MultimodalRecommender):
    """A model of its own on the same encoders."""


def by_hand(config: Config, model_class: type) -> dict[str, Any]:
    """Steps of RecBole's manual for a new model."""
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    assert isinstance(dataset, MultimodalDataset)
    assert isinstance(train, MultimodalTrainDataLoader)
    init_seed(config["seed"], config["reproducibility"])
    model = model_class(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, valid)
    return trainer.evaluate(test)


@pytest.mark.slow
@pytest.mark.parametrize("derived", [MySiBraR, Grandchild, FromTheBase])
def test_it_trains_as_its_base(make_config: MakeConfig, derived: type) -> None:
    config = make_config(derived, load_col=None)
    assert config["model"] == derived.__name__
    assert config["learning_rate"] == 0.002
    assert config["train_neg_sample_args"]["sample_num"] == 10
    assert by_hand(config, derived) == by_hand(make_config("SiBraR"), SiBraR)


def test_it_has_the_defaults_of_its_base(make_config: MakeConfig) -> None:
    config = make_config(MyCLCRec, load_col=None)
    assert config["loss_type"] == "InfoNCE"
    assert config["replacement_prob"] == 0.5


def test_it_may_have_keys_of_its_own(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(MySiBraR, my_weight=0.3, load_col=None)
    assert config["my_weight"] == 0.3
    assert "no effect" not in caplog.text


@pytest.mark.slow
def test_it_runs_and_loads_by_name(make_config: MakeConfig, tmp_path: Path) -> None:
    keys = dict(make_config(MySiBraR, load_col=None).variable_config_dict)
    result = run_recbole(MySiBraR, "tiny", config_dict=keys)
    (file,) = (tmp_path / "saved").glob("MySiBraR-*.pth")
    config, model, _, _, _, test = load_data_and_model(str(file))
    assert type(model) is MySiBraR
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    assert trainer.evaluate(test, load_best_model=False) == result["test_result"]


def test_it_is_found_by_its_name() -> None:
    assert get_model("MySiBraR") is MySiBraR
    assert get_model("Grandchild") is Grandchild
    assert get_model("SiBraR") is SiBraR
    assert get_model("BPR").__module__ == "recbole.model.general_recommender.bpr"
    with pytest.raises((ValueError, ImportError)):  # the second where LightGBM is not installed
        get_model("MySiBra")


SCRIPT = """
import recbole_sibrar
import torch
from recbole.config import Config
from recbole.quick_start import run_recbole
from recbole_sibrar.model.sibrar import SiBraR


class Mine(SiBraR):
    pass


if __name__ == "__main__":
    keys = {"data_path": "dataset", "epochs": 1, "show_progress": False, "state": "ERROR", "worker": 1}
    print(run_recbole(Mine, "tiny", config_dict=keys)["test_result"]["recall@10"] > 0)
"""


@pytest.mark.slow
@pytest.mark.processes
def test_it_may_stand_in_a_script(tiny_folder: Path) -> None:
    folder = tiny_folder.parent
    (folder / "mine.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "True", done.stderr


def test_scores_are_those_of_its_base(make_config: MakeConfig) -> None:
    scores = []
    for model_class in (MySiBraR, SiBraR):
        config = make_config(model_class, load_col=None)
        init_seed(config["seed"], config["reproducibility"])
        train, _, test = data_preparation(config, create_dataset(config))
        init_seed(config["seed"], config["reproducibility"])
        model = model_class(config, train.dataset).eval()
        scores.append(model.full_sort_predict(next(iter(test))[0]))
    assert torch.equal(*scores)
