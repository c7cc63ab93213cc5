from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError
from recbole_sibrar.evaluator.embeddings import modality_embeddings
from recbole_sibrar.studies.gap.study import Options, measure_checkpoint

Build = Callable[..., tuple[Any, ...]]
COLD = {"eval_args": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}}
FIGURES = {
    f"{name}.{suffix}"
    for name in ("projection", "distances", "heat_map")
    for suffix in ("png", "pdf")
}


@pytest.fixture
def trained(make_model: Build) -> Callable[..., tuple[Any, str]]:
    """Trains a model for an epoch: ``model, checkpoint = trained("SiBraR", item_modalities=["text", "kind"])``."""

    def build(model: str = "SiBraR", **overrides: Any) -> tuple[Any, str]:
        config, network, train, valid, _ = make_model(model=model, epochs=1, **overrides)
        trainer = Trainer(config, network)
        trainer.fit(train, valid)
        return trainer.model, trainer.saved_model_file

    return build


class Command:
    """Runs ``recbole-sibrar gap`` and keeps what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> list[str]:
        """Lines on standard error."""
        self.capsys.readouterr()
        assert cli.main(["gap", *arguments]) == status
        captured = self.capsys.readouterr()
        self.output = captured.out
        return captured.err.splitlines()

    def refused(self, *arguments: str) -> str:
        (line,) = self(*arguments, status=cli.WRONG_INPUT)
        return line.removeprefix("recbole-sibrar gap: error: ")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def baseline(trained: Callable[..., tuple[Any, str]]) -> str:
    return trained("BPR", train_neg_sample_args={"distribution": "uniform", "sample_num": 1})[1]


def test_modality_alone_embeds_its_item(
    trained: Callable[..., tuple[Any, str]],
) -> None:
    model, _ = trained(item_modalities=["interactions", "kind", "text"])
    found = modality_embeddings(model.train())
    assert model.training
    model.eval()
    availability = model.item_encoder.availability
    np.testing.assert_array_equal(found.available, availability[found.entities].numpy())
    assert found.entities.min() > 0
    for column in range(3):
        hidden = torch.ones_like(availability)
        hidden[:, column] = False
        with model.hiding("item", hidden), torch.no_grad():
            alone = model.encode_items(torch.from_numpy(found.entities)).numpy()
        there = found.available[:, column]
        np.testing.assert_allclose(
            found.embeddings[there, column], alone[there], rtol=1e-5, atol=1e-6
        )


def test_new_items_have_no_training(trained: Callable[..., tuple[Any, str]]) -> None:
    model, file = trained(item_modalities=["interactions", "kind", "text"], **COLD)
    groups = {which: modality_embeddings(model, which=which) for which in ("all", "train", "new")}
    assert groups["new"].names == ("kind", "text")
    assert set(groups["all"].entities) == set(groups["train"].entities) | set(
        groups["new"].entities
    )
    assert not set(groups["train"].entities) & set(groups["new"].entities)
    frame = measure_checkpoint(file, Options(items="new"))
    pairs = frame.loc[frame["first"] != frame["second"], ["first", "second"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [["kind", "text"]]
    items = frame.loc[
        (frame["first"] == "kind") & (frame["second"] == "text") & (frame["measure"] == "items"),
        "value",
    ]
    assert items.tolist() == [groups["new"].available.all(1).sum()]


@pytest.mark.slow
def test_command_leaves_baselines_out(
    trained: Callable[..., tuple[Any, str]], command: Command
) -> None:
    modalities = {"item_modalities": ["interactions", "kind", "text"]}
    (_, single), (_, multiple) = trained("SiBraR", **modalities), trained("MuBraR", **modalities)
    other = baseline(trained)
    (note,) = command(f"one={single}", multiple, other, "--output=first")
    assert f"left out BPR ({other}): the model encodes no modalities" in note
    frame = pd.read_csv("first/gap.csv", keep_default_na=False)
    assert frame[["name", "model", "checkpoint"]].drop_duplicates().to_numpy().tolist() == [
        ["one", "SiBraR", single],
        ["MuBraR", "MuBraR", multiple],
    ]
    value = frame.loc[
        (frame["name"] == "one") & (frame["measure"] == "classifier_accuracy"), "value"
    ].item()
    assert f"{float(value):.4f}" in command.output
    table = Path("first/gap.tex").read_text()
    assert f"{float(value):.4f}" in table
    assert "interactions - kind & items & " in table
    assert {file.name for file in Path("first").iterdir()} == {"gap.csv", "gap.tex", *FIGURES}
    expected = frame[frame["name"] == "one"].drop(columns="name")
    again = measure_checkpoint(single)
    np.testing.assert_allclose(
        again["value"].to_numpy(), expected["value"].astype(float).to_numpy(), rtol=1e-6
    )


@pytest.mark.slow
def test_options_of_the_gap_command(
    trained: Callable[..., tuple[Any, str]], command: Command
) -> None:
    _, file = trained(
        user_modalities=["interactions", "gender", "profile"], item_modalities=["kind", "text"]
    )
    command(
        file,
        "--side=user",
        "--modalities=profile,gender",
        "--projection=tsne",
        "--max_items=20",
        "--seed=3",
    )
    frame = pd.read_csv("gap/gap.csv", keep_default_na=False)
    assert set(frame["side"]) == {"user"}
    assert set(frame["first"]) == {"profile", "gender", ""}
    drawn = frame[frame["measure"] == "cosine_same"].astype({"low": float, "high": float})
    assert (drawn["low"] <= drawn["high"]).all()


def test_a_series_of_training_is_drawn(
    trained: Callable[..., tuple[Any, str]], command: Command
) -> None:
    trained(item_modalities=["kind", "text"], gap_every=1, save_gap="series.csv")
    command("--series", "first=series.csv", "series.csv")
    assert {file.name for file in Path("gap").iterdir()} == {"series.png", "series.pdf"}


@pytest.mark.parametrize("checkpoints", [("BPR",), ()])
def test_no_model_with_modalities(
    trained: Callable[..., tuple[Any, str]], command: Command, checkpoints: tuple[str, ...]
) -> None:
    files = [baseline(trained) for _ in checkpoints]
    found = (
        f"'BPR ({files[0]})', allowed is a model that encodes"
        if files
        else "none, allowed is one or more"
    )
    assert command.refused(*files).startswith(f"CHECKPOINT: found {found}")
    for file in files:
        with pytest.raises(ConfigError, match="allowed is a model that encodes modalities"):
            measure_checkpoint(file)


def test_unusable_checkpoints_are_one_line(
    trained: Callable[..., tuple[Any, str]], command: Command
) -> None:
    _, file = trained(item_modalities=["interactions", "text"], user_modalities=["id"], **COLD)
    assert f"{file}: user modalities: found 'id', allowed is two or more" in command.refused(
        file, "--side=user"
    )
    line = command.refused(file, "--modalities=text,interaction")
    assert line.startswith(
        f"{file}: modalities: found 'interaction', allowed is any of interactions, text"
    )
    assert line.endswith("did you mean 'interactions'?")
    line = command.refused(file, "--items=new")
    assert line.startswith(
        f"{file}: modalities of the items (new): found 'text', allowed is two or more of"
    )
    assert "allowed is names that differ" in command.refused(f"a={file}", f"a=./{file}")
    _, clcrec = trained("CLCRec", item_modalities=["kind", "text"])
    assert f"{clcrec}: items: found 'all', allowed is new for CLCRec" in command.refused(clcrec)


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (
            ["--side=items"],
            "--side: found 'items', allowed is one of user, item; did you mean 'item'?",
        ),
        (["--items=cold"], "--items: found 'cold', allowed is one of all, train, new"),
        (["--modalities=a,a"], "--modalities: found ['a', 'a'], allowed is each modality once"),
        (["--seed=-1"], "--seed: found '-1', allowed is an integer"),
        (["--max_items=1"], "--max_items: found 1, allowed is an integer of at least 2"),
        (
            ["--projection=pcs"],
            "--projection: found 'pcs', allowed is one of pca, tsne, umap; did you mean 'pca'?",
        ),
        (["--output=file"], "--output: cannot write file/gap.csv"),
        (["--series", "no.csv"], "--series: cannot read no.csv: No such file"),
        (
            ["--series", "table.csv"],
            "--series: table.csv: found 'a, b', allowed is a file of gap_every, with",
        ),
        (["--seed=1"], "nowhere.pth: there is no such checkpoint"),
    ],
)
def test_wrong_options_end_in_one_line(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    start: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("table.csv").write_text("a,b\n1,2\n")
    assert command.refused("nowhere.pth", *arguments).startswith(start)


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="UMAP is installed")
def test_umap_explains_its_installation(command: Command) -> None:
    assert command.refused("nowhere.pth", "--projection=umap").endswith("pip install umap-learn")
