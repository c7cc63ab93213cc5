"""Configurations in the shape of published ones run SiBraR, or say in one line why they do not.

What a configuration leaves of the data is counted here with pandas, in another way than RecBole and the plugin do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from recbole_sibrar import cli
from recbole_sibrar.checkpoint_loading import load_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from shapes import SHAPES, events, ratings

HERE = Path(__file__).parent
NAMES = sorted(file.stem for file in HERE.glob("*.yaml"))

REFUSED = {
    "click_through_with_labels": "train_neg_sample_args: found None, allowed is negatives, from which SiBraR learns",
    "sequences_with_full_softmax": "loss_type: found 'CE', allowed is one of BPR, BCE, SSM",
}
"""Configurations unfit for general models -> the reason in the error."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``run_recbole`` with one of the configurations on small data of its shape; the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])

    def start(name: str, model: str = "SiBraR", *arguments: str) -> int:
        SHAPES.get(name, ratings)(tmp_path / "dataset" / "shop")
        fixed = [
            f"--config_files={HERE / name}.yaml",
            "--epochs=1",
            "--show_progress=False",
            "--state=WARNING",
        ]
        return cli.run_recbole([f"--model={model}", "--dataset=shop", *fixed, *arguments])

    return start


def configured(name: str, model: str = "SiBraR") -> Config:
    keys = {"state": "ERROR"}
    config = Config(model, "shop", config_file_list=[str(HERE / f"{name}.yaml")], config_dict=keys)
    init_seed(config["seed"], config["reproducibility"])
    return config


def test_there_are_enough() -> None:
    assert len(NAMES) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_or_says_why_not(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status = run(name)
    errors = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("run_recbole: error")
    ]
    if name in REFUSED:
        assert status == cli.WRONG_INPUT
        assert errors == [errors[0]]
        assert errors[0].startswith(f"run_recbole: error: {REFUSED[name]}")
        return

    assert status == 0, errors
    (file,) = (tmp_path / "saved").glob("SiBraR-*.pth")
    assert 0 < load_checkpoint(str(file))["best_valid_score"] <= 1


def expected(name: str) -> pd.DataFrame:
    """Interactions left by a configuration, computed with pandas."""
    frame = pd.DataFrame(events(), columns=["user", "item", "rating", "time"])
    frame = frame.astype({"rating": float, "time": float})
    if name == "graph_models_on_ratings":
        frame = frame[frame["rating"] >= 3]
        while True:
            counts = [frame.groupby(side)[side].transform("size") for side in ("user", "item")]
            kept = (counts[0] >= 3) & (counts[1] >= 3)
            if kept.all():
                return frame
            frame = frame[kept]
    if name == "last_interaction_with_sampled_ranking":
        return frame.sort_values("time", kind="stable").drop_duplicates(["user", "item"])
    return frame


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize(
    "name",
    [
        "graph_models_on_ratings",
        "last_interaction_with_sampled_ranking",
        "csv_with_own_names",
        "content_of_items",
    ],
)
def test_it_leaves_what_pandas_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    SHAPES.get(name, ratings)(tmp_path / "dataset" / "shop")
    dataset = create_dataset(configured(name, model))
    frame = expected(name)
    assert dataset.inter_num == len(frame)
    users = dataset.id2token(dataset.uid_field, dataset.inter_feat[dataset.uid_field].to_numpy())
    assert sorted(users) == sorted(frame["user"])


def test_the_last_interaction_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    ratings(tmp_path / "dataset" / "shop")
    config = configured("last_interaction_with_sampled_ranking")
    _, _, test = data_preparation(config, create_dataset(config))
    part = test._dataset
    found = {
        part.id2token(part.uid_field, user): part.id2token(part.iid_field, item)
        for user, item in zip(
            part.inter_feat[part.uid_field], part.inter_feat[part.iid_field], strict=True
        )
    }
    last = expected("last_interaction_with_sampled_ranking").groupby("user").last()["item"]
    assert found == last.to_dict()


@pytest.mark.slow
def test_vectors_in_a_file_of_their_own(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("vectors_beside_the_items") == 0
    (file,) = (tmp_path / "saved").glob("SiBraR-*.pth")
    weights = load_checkpoint(str(file))["state_dict"]
    inputs = [
        tuple(value.shape)
        for key, value in weights.items()
        if key.startswith("item_encoder.projections.1")
    ]
    assert (64, 5) in inputs


@pytest.mark.slow
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize(
    "name", ["negatives_of_version_1_0", "settings_of_version_0_2", "one_file_for_many_models"]
)
def test_it_serves_other_models_as_before(run: Callable[..., int], name: str, model: str) -> None:
    assert run(name, model) == 0


@pytest.mark.slow
def test_keys_of_other_models_are_said(
    run: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    assert run("one_file_for_many_models") == 0
    said: set[Any] = {
        message.split("'")[1] for message in caplog.messages if "has no effect" in message
    }
    assert {"hidden_size", "n_layers", "ssl_tau", "shrink"} <= said
    assert not {"temperature", "embedding_size", "load_col"} & said
