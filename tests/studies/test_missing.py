from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recbole.trainer import Trainer

import recbole_sibrar
from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError
from recbole_sibrar.studies.missing.measures import (
    Plan,
    Study,
    Trial,
    lost_cells,
    share_missing,
    shuffle_ties,
    subsets,
)

Build = Callable[..., tuple[Any, ...]]


@pytest.fixture
def trained(make_model: Build) -> Callable[..., tuple[Any, ...]]:
    """Trains a model for an epoch or two: ``config, model, train, test, trainer = trained("SiBraR", epochs=1)``."""

    def build(model: str = "SiBraR", **overrides: Any) -> tuple[Any, ...]:
        config, network, train, valid, test = make_model(model=model, **overrides)
        trainer = Trainer(config, network)
        trainer.fit(train, valid)
        return config, network, train, test, trainer

    return build


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 100))
def test_losses_grow_with_the_rate(a: float, b: float, seed: int) -> None:
    available = np.random.default_rng(3).random((50, 4)) < 0.7
    fewer, more = (lost_cells(available, [0, 2], rate, seed) for rate in sorted((a, b)))
    assert not (fewer & ~more).any()
    assert not (more & ~available).any()
    assert not more[:, [1, 3]].any()
    np.testing.assert_array_equal(
        lost_cells(available, range(4), max(a, b), seed)[:, [0, 2]], more[:, [0, 2]]
    )


def test_share_missing_is_near_the_rate() -> None:
    available = np.random.default_rng(3).random((20000, 3)) < 0.6
    for rate in (0.0, 0.1, 0.5, 0.9, 1.0):
        lost = lost_cells(available, [0, 1], rate, seed=5)
        share = lost[:, :2].sum() / available[:, :2].sum()
        assert share_missing(available, lost, [0, 1]) == share
        assert abs(share - rate) <= 5 * np.sqrt(rate * (1 - rate) / available[:, :2].sum())
        each = lost[:, 0].sum() / available[:, 0].sum()
        assert abs(each - rate) <= 5 * np.sqrt(rate * (1 - rate) / available[:, 0].sum())


def test_subsets_of_five_and_six() -> None:
    assert len(set(subsets("abcde"))) == 2**5 - 1
    six = ["".join(subset) for subset in subsets("abcdef")]
    assert six == [*"abcdef", "abcde", "abcdf", "abcef", "abdef", "acdef", "bcdef", "abcdef"]


def test_ties_share_places_equally() -> None:
    """Items 1 to 6 are tied up to the last bits of a float, item 7 is better, item 8 worse, item 0 no candidate."""
    row = torch.tensor([-torch.inf, *(1 + n * 1e-7 for n in range(6)), 2, 0.5])
    assert len(row.unique()) > 4
    scores, groups = row.repeat(6000, 1), torch.tensor([0, 1, 1, 1, 1, 1, 1, 2, 3])
    scores[:, 3] = -torch.inf  # seen before
    broken = shuffle_ties(scores, groups, torch.Generator().manual_seed(1))
    assert torch.equal(broken == -torch.inf, scores == -torch.inf)
    order = broken.argsort(dim=1, descending=True)[:, :7]
    assert (order[:, 0] == 7).all()
    assert (order[:, 6] == 8).all()
    for place in range(1, 6):
        counts = np.bincount(order[:, place].numpy(), minlength=9)[[1, 2, 4, 5, 6]]
        np.testing.assert_allclose(counts, 1200, atol=5 * np.sqrt(6000 * 0.2 * 0.8))


@pytest.mark.slow
@pytest.mark.parametrize("name", recbole_sibrar.MODELS)
def test_rate_0_is_the_plain_evaluation(trained: Callable[..., tuple[Any, ...]], name: str) -> None:
    config, model, train, test, trainer = trained(
        name, metrics=["NDCG", "GAUC", "ItemCoverage", "AveragePopularity"], valid_metric="NDCG@10"
    )
    plain = dict(trainer.evaluate(test, load_best_model=False))
    row = Study(config, model, train, test).evaluate(Trial("loss", ("text",), 0.0, 9))
    assert plain["ndcg@10"] > 0
    assert {name: row[name] for name in plain} == plain
    assert row["share_missing"] == 0


@pytest.mark.slow
def test_subset_equals_eval_modalities(
    trained: Callable[..., tuple[Any, ...]], make_model: Build
) -> None:
    config, model, train, test, _ = trained(epochs=5)
    other_config, other, _, _, other_test = make_model(
        item_eval_modalities=["interactions", "tags"]
    )
    other.load_state_dict(model.state_dict())
    expected = dict(Trainer(other_config, other).evaluate(other_test, load_best_model=False))
    study = Study(config, model, train, test)
    (trial,) = [
        t for t in study.trials if t.names == ("interactions", "tags") and t.experiment == "subset"
    ]
    row = study.evaluate(trial)
    assert {name: row[name] for name in expected} == expected
    everything = study.evaluate(study.trials[-1])
    assert {name: everything[name] for name in expected} != expected
    items = np.arange(1, 41)
    counts = {
        "kind": sum(items[:39] % 7 > 0),
        "price": sum(items[:39] % 6 > 0),
        "text": sum(items[:39] % 4 > 0),
    }
    left = 40 + sum(items[:39] % 5 > 0)
    assert row["share_missing"] == pytest.approx(
        sum(counts.values()) / (sum(counts.values()) + left)
    )


def test_everything_lost_ranks_at_random(trained: Callable[..., tuple[Any, ...]]) -> None:
    config, model, train, test, _ = trained(
        metrics=["Recall", "Precision"], topk=[3], valid_metric="Recall@3"
    )
    study = Study(config, model, train, test, Plan(rates=(1.0,)))
    rows = pd.DataFrame(
        [study.evaluate(Trial("loss", study.trials[0].names, 1.0, seed)) for seed in range(80)]
    )
    candidates, positives = [], []
    for user in test.uid_list.tolist():
        candidates.append(40 - len(test.uid2history_item[user]))
        positives.append(len(test.uid2positive_item[user]))
    for name, expected in (
        ("recall@3", np.mean(3 / np.array(candidates))),
        ("precision@3", np.mean(np.array(positives) / np.array(candidates))),
    ):
        assert abs(rows[name].mean() - expected) < 4 * rows[name].std() / np.sqrt(80)
        assert rows[name].std() > 0
    assert (rows["share_missing"] == 1).all()


def test_items_with_equal_values_are_tied(
    trained: Callable[..., tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the items of one category, which are all alike, other ones are recommended with another seed."""
    config, model, train, test, _ = trained(
        item_modalities=["interactions", "kind"],
        metrics=["ItemCoverage"],
        topk=[3],
        valid_metric="ItemCoverage@3",
    )
    study = Study(config, model, train, test)
    seen = []
    original = study.collector.eval_batch_collect

    def spy(*args: Any) -> None:
        original(*args)
        seen.append(study.collector.data_struct.get("rec.items").clone())

    monkeypatch.setattr(study.collector, "eval_batch_collect", spy)
    lists = []
    for seed in (1, 1, 2):
        seen.clear()
        study.evaluate(Trial("subset", ("kind",), float("nan"), seed))
        lists.append(seen[-1])
    assert torch.equal(lists[0], lists[1])
    assert not torch.equal(lists[0], lists[2])
    assert len(lists[0].unique()) > 10


def test_unnamed_modalities_are_never_lost(trained: Callable[..., tuple[Any, ...]]) -> None:
    config, model, train, test, _ = trained(item_modalities=["interactions", "kind", "text"])
    study = Study(config, model, train, test, Plan(modalities=("text", "kind"), n_seeds=1))
    assert study.trials[-1].names == ("interactions", "text", "kind")
    for trial in study.trials:
        assert not study.hidden_cells(trial)[:, 0].any()
    assert {"+".join(trial.names) for trial in study.trials if trial.experiment == "subset"} == {
        "interactions+text",
        "interactions+kind",
        "interactions+text+kind",
    }


def test_sampled_candidates_stay_the_same(trained: Callable[..., tuple[Any, ...]]) -> None:
    config, model, train, test, _ = trained(
        eval_args={"mode": {"valid": "uni5", "test": "uni5"}}, topk=[2], valid_metric="MRR@2"
    )
    study = Study(config, model, train, test)
    first, second = (study.evaluate(Trial("loss", ("text",), 0.0, 9)) for _ in range(2))
    assert first == second


def test_unevaluated_modality_is_refused(trained: Callable[..., tuple[Any, ...]]) -> None:
    config, model, train, test, _ = trained(item_eval_modalities=["interactions", "text"])
    with pytest.raises(
        ConfigError,
        match=r"found 'kind', allowed is any of interactions, text, the item modalities",
    ):
        Study(config, model, train, test, Plan(modalities=("kind",)))


def test_study_keeps_the_users_file(trained: Callable[..., tuple[Any, ...]]) -> None:
    config, model, train, test, _ = trained(save_per_user="users.parquet")
    Path("users.parquet").write_text("results of the run")
    Study(config, model, train, test).evaluate(Trial("loss", ("text",), 1.0, 1))
    assert Path("users.parquet").read_text() == "results of the run"
    assert config["save_per_user"] == "users.parquet"


class Command:
    """Runs ``recbole-sibrar missing`` and keeps what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> list[str]:
        """Lines on standard error."""
        self.capsys.readouterr()
        assert cli.main(["missing", *arguments]) == status
        captured = self.capsys.readouterr()
        self.output = captured.out
        return captured.err.splitlines()

    def refused(self, *arguments: str) -> str:
        (line,) = self(*arguments, status=cli.WRONG_INPUT)
        return line.removeprefix("recbole-sibrar missing: error: ")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.mark.slow
def test_command_writes_table_and_figure(
    trained: Callable[..., tuple[Any, ...]], command: Command, tmp_path: Path
) -> None:
    ours = trained(item_modalities=["interactions", "text"])[-1].saved_model_file
    baseline = trained("BPR", train_neg_sample_args={"distribution": "uniform", "sample_num": 1})[
        -1
    ].saved_model_file
    notes = command(ours, baseline, "--seeds=2", "--rates", "0.5,0,1", "--output=first")
    assert len(notes) == 1
    assert f"left out BPR ({baseline})" in notes[0]
    frame = pd.read_csv("first/missing.csv")
    assert list(frame["experiment"]) == ["loss"] * 4 + ["subset"] * 3
    assert list(frame["rate"][:4]) == [0, 0.5, 0.5, 1]
    assert list(frame["seed"][:4]) == [2020, 2020, 2021, 2020]
    assert list(frame["modalities"][4:]) == ["interactions", "text", "interactions+text"]
    assert set(frame["model"]) == {"SiBraR"}
    assert set(frame["checkpoint"]) == {ours}
    assert {"recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10"} <= set(frame)
    assert frame["share_missing"].iloc[[0, 3, 6]].tolist() == [0, 1, 0]
    halves = frame[frame["rate"] == 0.5]["mrr@10"]
    assert f"{halves.mean():.4f} ± {halves.std():.4f}" in command.output
    assert {file.name for file in Path("first").iterdir()} == {
        "missing.csv",
        "missing.png",
        "missing.pdf",
    }
    command(ours, ours, "--seeds=2", "--rates", "0.5,0,1", "--output=second")
    assert Path("second/missing.csv").read_bytes() == Path("first/missing.csv").read_bytes()


def test_users_can_lose_modalities(
    trained: Callable[..., tuple[Any, ...]], command: Command
) -> None:
    file = trained(user_modalities=["id"])[-1].saved_model_file
    (note,) = command(file, "--side=user", "--rates=0,1")
    assert f"SiBraR ({file}) has a single user modality, 'id'" in note
    frame = pd.read_csv("missing/missing.csv")
    assert set(frame["side"]) == {"user"}
    assert list(frame["modalities"]) == ["id"] * 3
    assert frame["ndcg@10"].iloc[0] == frame["ndcg@10"].iloc[2]


def test_no_model_with_modalities(
    trained: Callable[..., tuple[Any, ...]], command: Command
) -> None:
    file = trained("BPR", train_neg_sample_args={"distribution": "uniform", "sample_num": 1})[
        -1
    ].saved_model_file
    assert command.refused(file).startswith(
        f"CHECKPOINT: found 'BPR ({file})', allowed is a model that encodes"
    )


def test_wrong_options_are_one_line(
    trained: Callable[..., tuple[Any, ...]], command: Command
) -> None:
    file = trained(item_modalities=["interactions", "tags"])[-1].saved_model_file
    line = command.refused(file, "--modalities=tag")
    assert line.startswith(f"{file}: modalities: found 'tag', allowed is any of interactions, tags")
    assert line.endswith("did you mean 'tags'?")
    line = command.refused(file, "--metric=ndgc@10")
    assert line.startswith(
        "--metric: found 'ndgc@10', allowed is any of the checkpoint's metrics recall@10"
    )
    assert line.endswith("did you mean 'ndcg@10'?")
    Path("occupied").write_text("a file")
    assert command.refused(file, "--output=occupied").startswith(
        "--output: cannot write to occupied"
    )


@pytest.mark.parametrize(
    ("argument", "start"),
    [
        ("--rates=0,1.5", "--rates: found '1.5', allowed is numbers from 0 to 1"),
        ("--rates=-0.1", "--rates: found '-0.1', allowed is numbers from 0 to 1"),
        ("--rates=nan", "--rates: found 'nan', allowed is numbers from 0 to 1"),
        ("--rates=0,half", "--rates: found 'half', allowed is numbers from 0 to 1"),
        ("--rates=", "--rates: found '', allowed is numbers from 0 to 1"),
        ("--seeds=0", "--seeds: found '0', allowed is a positive integer"),
        ("--seeds=many", "--seeds: found 'many', allowed is a positive integer"),
        ("--modalities=text,", "--modalities: found 'text,', allowed is names"),
        ("--modalities=a,a", "--modalities: found 'a,a', allowed is names"),
        (
            "--side=items",
            "--side: found 'items', allowed is one of user, item; did you mean 'item'?",
        ),
        ("--seeds=1", "nowhere.pth: there is no such checkpoint"),
    ],
)
def test_wrong_options_end_in_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, start: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.refused("nowhere.pth", argument).startswith(start)


def test_trials_by_rate_and_seed(
    trained: Callable[..., tuple[Any, ...]],
) -> None:
    config, model, train, test, _ = trained(item_modalities=["interactions", "kind"])
    study = Study(config, model, train, test, Plan(rates=(1, 0.5, 0, 0.5), n_seeds=3))
    losses = [(trial.rate, trial.seed) for trial in study.trials if trial.experiment == "loss"]
    assert losses == [(0, 2020), (0.5, 2020), (0.5, 2021), (0.5, 2022), (1, 2020)]
    hidden = [study.hidden_cells(trial) for trial in study.trials[:5]]
    assert not hidden[0].any()
    assert all(not np.array_equal(a, b) for a, b in pairwise(hidden))


@pytest.mark.parametrize("name", ["DropoutNet", "CLCRec"])
def test_baselines_lose_like_their_papers(
    trained: Callable[..., tuple[Any, ...]], name: str
) -> None:
    """With everything lost, items are all alike for DropoutNet; for CLCRec trained items keep their embedding."""
    config, model, train, test, _ = trained(
        name, eval_args={"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}
    )
    trained_items = sorted(set(train.dataset.inter_feat["item_id"].tolist()))
    new_items = [item for item in range(1, 41) if item not in trained_items]
    before = model.encode_items().clone()
    with model.hiding("item", torch.ones_like(model.item_encoder.availability)):
        after = model.encode_items()
    kept = [item for item in range(1, 41) if torch.equal(before[item], after[item])]
    assert set(kept) >= set(trained_items if name == "CLCRec" else [])
    assert len(kept) < 40
    assert len(after[new_items].unique(dim=0)) == 1
    assert len(after[trained_items].unique(dim=0)) == (
        len(trained_items) if name == "CLCRec" else 1
    )
    row = Study(config, model, train, test).evaluate(Trial("loss", ("text", "kind"), 0.5, 1))
    assert 0.2 < row["share_missing"] < 0.8
