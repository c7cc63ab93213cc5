"""Cold start from end to end: RecBole's own steps, from the configuration to the results."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

import recbole_sibrar
from recbole_sibrar.config import ConfigError
from recbole_sibrar.data import partition

MakeConfig = Callable[..., Config]

READ = ["train", "valid", "test"]
RATIOS = [0.6, 0.2, 0.2]


def cold(group_by: str) -> dict[str, Any]:
    return {"split": {"CS": RATIOS}, "group_by": group_by}


class Run:
    """RecBole's steps with a configuration: split, train without validation, test."""

    def __init__(self, config: Config, epochs: bool = True) -> None:
        init_seed(config["seed"], config["reproducibility"])
        self.config = config
        self.loaders = data_preparation(config, create_dataset(config))
        init_seed(config["seed"], config["reproducibility"])
        self.model = get_model(config["model"])(config, self.loaders[0]._dataset)
        self.trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, self.model)
        if epochs:
            self.trainer.fit(self.loaders[0], saved=False, show_progress=False)

    def test(self) -> dict[str, float]:
        """Results of the test part."""
        return dict(self.trainer.evaluate(self.loaders[2], load_best_model=False))

    def learned(self) -> dict[str, Any]:
        """Everything that training left in the model, statistics of batch norm and popularity counts among it."""
        values = {**self.model.state_dict(), **(self.model.other_parameter() or {})}
        return {
            name: value.tolist() if isinstance(value, torch.Tensor) else value
            for name, value in values.items()
        }

    def embeddings(self, side: str) -> dict[str, list[float]]:
        """Original id -> final embedding of every user or item."""
        vectors = getattr(self.model.eval(), f"{side}_encoder").encode_all()
        return dict(
            zip(
                self.loaders[0]._dataset.field2id_token[f"{side}_id"], vectors.tolist(), strict=True
            )
        )

    def pairs(self, part: int) -> list[tuple[str, str]]:
        """Original ids of the pairs of user and item in a part."""
        dataset = self.loaders[part]._dataset
        users, items = (
            dataset.field2id_token[name][dataset.inter_feat[name]]
            for name in ("user_id", "item_id")
        )
        return list(zip(users.tolist(), items.tolist(), strict=True))


# The same partition for all models, and as files


@pytest.mark.parametrize("group_by", ["item", "user", "both"])
def test_models_hold_out_the_same_pairs(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, group_by: str
) -> None:
    caplog.set_level(logging.INFO)
    for model in ("SiBraR", "BPR", "Pop", "ItemKNN"):
        Run(make_config(model, eval_args=cold(group_by), epochs=1))
    hashes = [
        found[1] for text in caplog.messages if (found := re.search(r"held-out pairs (\w+)$", text))
    ]
    print(f"{group_by}: held-out pairs {hashes}")  # noqa: T201
    assert len(hashes) == 4
    assert len(set(hashes)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize("group_by", ["item", "user", "both"])
@pytest.mark.parametrize(
    "filters", [{}, {"item_inter_num_interval": "[9,inf)"}], ids=["all", "filtered"]
)
def test_written_parts_give_the_same_run(
    make_config: MakeConfig, tmp_path: Path, model: str, group_by: str, filters: dict[str, str]
) -> None:
    """The same batches, parameters and results; from the folder itself, and from the one above it."""
    folder = tmp_path / "splits" / "tiny"
    settings = {
        "model": model,
        "eval_args": cold(group_by),
        "train_batch_size": 400,
        "load_col": None,
    }
    first = Run(make_config(**settings, **filters, save_split=str(folder)))
    for data_path in (folder, folder.parent):
        again = Run(
            make_config(**settings, **filters, data_path=str(data_path), benchmark_filename=READ)
        )
        assert Path(again.config["data_path"]) == folder
        assert again.learned() == first.learned()
        assert again.test() == first.test()
    if filters:
        assert len({item for part in range(3) for _, item in first.pairs(part)}) < 40


@pytest.mark.parametrize("wanted", [["train", "valid", "probe"], "train", []])
def test_missing_files_are_one_line(make_config: MakeConfig, tmp_path: Path, wanted: Any) -> None:
    folder = tmp_path / "split"
    Run(make_config("Pop", eval_args=cold("item"), save_split=str(folder)))
    with pytest.raises(ConfigError, match=r"^benchmark_filename: found .*, allowed is ") as caught:
        make_config("Pop", eval_args=cold("item"), data_path=str(folder), benchmark_filename=wanted)
    pieces = (
        ["tiny.probe.inter", str(folder)]
        if len(wanted) == 3
        else ["a list of three parts, such as [train, valid, test]"]
    )
    assert all(piece in str(caught.value) for piece in pieces)


def test_data_path_without_benchmark_files(make_config: MakeConfig, tiny_folder: Path) -> None:
    own = (
        Path(recbole_sibrar.plugin.configuration.recbole.__path__[0])
        / "dataset_example"
        / "ml-100k"
    )
    config = Config("BPR", "ml-100k", config_dict={"data_path": str(tiny_folder)})
    assert Path(config["data_path"]).resolve() == own.resolve()
    assert make_config("BPR")["data_path"] == f"{tiny_folder}/tiny"


# No trace of a held-out interaction


def rewire(file: Path, held_out: list[list[tuple[str, str]]], seed: int) -> None:
    """Replace the held-out interactions by others of the same users and items, with other ratings and times."""
    rng = np.random.default_rng(seed)
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    gone = {pair for part in held_out for pair in part}
    lines = [line for line in lines if (*line.split("\t")[:2],) not in gone]
    for part in held_out:
        users, items = (sorted({pair[side] for pair in part}) for side in (0, 1))
        chosen = {(u, i) for u in users for i in items if rng.random() < 0.3}
        longest = max(len(users), len(items))  # every user and every item has one at least
        chosen |= {(users[n % len(users)], items[n % len(items)]) for n in range(longest)}
        lines += [
            f"{u}\t{i}\t{rng.integers(1, 6)}\t{rng.integers(10**6)}" for u, i in sorted(chosen)
        ]
    rng.shuffle(lines)
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("group_by", ["item", "user", "both"])
@pytest.mark.parametrize(
    ("model", "distribution"),
    [
        *((name, "uniform") for name in (*recbole_sibrar.MODELS, "BPR", "Pop")),
        *((name, "popularity") for name in ("SiBraR", "BPR")),
    ],
)
def test_training_ignores_held_out_rows(
    make_config: MakeConfig, tiny_folder: Path, model: str, distribution: str, group_by: str
) -> None:
    settings: dict[str, Any] = {
        "model": model,
        "eval_args": cold(group_by),
        "load_col": None,
        "train_batch_size": 64,
    }
    settings["train_neg_sample_args"] = {"distribution": distribution, "sample_num": 2}
    if model in recbole_sibrar.MODELS:
        settings |= {"user_modalities": "auto", "loss_type": "BPR"}
    if model in recbole_sibrar.MODELS and model != "VBPR":  # which has no network
        settings |= {"batch_norm": 1, "dropout_prob": 0.1}
    first = Run(make_config(**settings), epochs=False)
    runs = []
    for seed in (1, 2):
        rewire(tiny_folder / "tiny" / "tiny.inter", [first.pairs(1), first.pairs(2)], seed)
        runs.append(Run(make_config(**settings)))
        first = runs[-1]
    one, other = runs
    assert sorted(one.pairs(0)) == sorted(other.pairs(0))
    assert sorted(one.pairs(2)) != sorted(other.pairs(2))
    assert one.learned() == other.learned()
    if model in recbole_sibrar.MODELS:
        assert any("running_var" in name for name in one.learned()) == (model != "VBPR")
        for side in ("user", "item"):
            tables = [run.embeddings(side) for run in runs]
            assert tables[0] == tables[1]  # of the held-out entities too


@pytest.mark.parametrize("group_by", ["item", "user", "both"])
def test_cold_entities_have_content_alone(make_config: MakeConfig, group_by: str) -> None:
    settings = {
        "user_modalities": ["interactions", "id", "age"],
        "item_modalities": ["id", "interactions", "price"],
    }
    run = Run(make_config(eval_args=cold(group_by), **settings), epochs=False)
    trained = run.pairs(0)
    for column, (side, content) in enumerate([("user", "age"), ("item", "price")]):
        encoder = getattr(run.model, f"{side}_encoder")
        tokens = run.loaders[0]._dataset.field2id_token[f"{side}_id"][1:]
        known = [token in {pair[column] for pair in trained} for token in tokens]
        has_value = [int(token[1:]) % 6 > 0 and token not in ("u30", "i40") for token in tokens]
        for name, available in {"interactions": known, "id": known, content: has_value}.items():
            table = encoder.availability[1:, encoder.modalities.index(name)]
            assert table.tolist() == available, name
        assert all(known) is (group_by not in (side, "both"))


# What theory says


@pytest.fixture
def skewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run a model on 150 users and 100 items, of which the popular ones stand first in the file."""
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    folder = tmp_path / "dataset" / "skewed"
    folder.mkdir(parents=True)
    lines = [
        f"u{u}\ti{i:02d}"
        for i in range(100)
        for u in range(150)
        if rng.random() < 0.6 * 0.96**i + 0.02
    ]
    (folder / "skewed.inter").write_text(
        "\n".join(["user_id:token\titem_id:token", *lines]), encoding="utf-8"
    )

    def run(model: str, group_by: str = "item", epochs: bool = True, **settings: Any) -> Run:
        fixed = {
            "eval_args": cold(group_by),
            "data_path": str(folder.parent),
            "state": "ERROR",
            "epochs": 1,
        }
        fixed |= {"metrics": ["Recall"], "valid_metric": "Recall@10", "metric_decimal_place": 10}
        fixed |= {"train_batch_size": 4096, "load_col": {"inter": ["user_id", "item_id"]}}
        return Run(Config(model, "skewed", config_dict={**fixed, **settings}), epochs)

    return run


def chance(run: Run, k: int, candidates: str) -> tuple[float, float]:
    """Expected recall@k of independent uniformly random rankings, and the standard deviation of its mean over users.

    A user's hits are hypergeometric: of the c candidates, p are held out and k are drawn.
    """
    train, valid, test = (set(run.pairs(part)) for part in range(3))
    items = (
        {item for _, item in test}
        if candidates == "split"
        else {i for part in (train, valid, test) for _, i in part}
    )
    means, variances = [], []
    for user in {user for user, _ in test}:
        p = sum(1 for u, _ in test if u == user)
        c = len(items - {i for u, i in train | valid if u == user})
        share = min(k, c) / c
        means.append(share)
        variances.append(share * (1 - share) * (c - p) / (c - 1) / p if c > 1 else 0)
    return float(np.mean(means)), float(np.sqrt(np.sum(variances)) / len(means))


@pytest.mark.parametrize("candidates", ["split", "all"])
@pytest.mark.parametrize("group_by", ["item", "user", "both"])
def test_random_recall(skewed: Callable[..., Run], group_by: str, candidates: str) -> None:
    run = skewed("Random", group_by, eval_candidates=candidates, topk=[10, 30])
    found = run.test()
    for k in (10, 30):
        expected, deviation = chance(run, k, candidates)
        assert abs(found[f"recall@{k}"] - expected) < 4 * deviation + 1e-9
    if group_by == "item" and candidates == "split":
        assert chance(run, 10, candidates)[0] == pytest.approx(10 / 20)
        assert found["recall@30"] == pytest.approx(1)  # more places than candidates


def mean_recall(
    skewed: Callable[..., Run], model: str, seeds: range, epochs: bool = True
) -> tuple[float, float]:
    """Mean over seeds of the recall among 20 new items, and its standard error."""
    recalls = [skewed(model, seed=seed, epochs=epochs).test()["recall@10"] for seed in seeds]
    return float(np.mean(recalls)), float(np.std(recalls, ddof=1) / np.sqrt(len(recalls)))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "epochs"), [("Pop", True), ("BPR", True), ("ItemKNN", True)])
def test_unknown_items_rank_by_chance(skewed: Callable[..., Run], model: str, epochs: bool) -> None:
    """Popularity and similarity of new items are zero, their factors are those of the initialisation.

    The ranking then depends on internal numbers and initial values, which are drawn without regard to the held-out
    interactions: of c = 20 candidates any k = 10 are as likely to be recommended, so that a user with p held-out items
    has p * k / c hits in expectation, and a recall of k / c, whatever the other users have.
    """
    mean, error = mean_recall(skewed, model, range(25), epochs)
    assert error < 0.04
    assert abs(mean - 10 / 20) < 3.5 * error


def test_numbers_in_file_order_are_noticed(
    skewed: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file popular items come first; a model that knows nothing would then seem to know them."""

    def as_in_the_file(parts: np.ndarray, *_: Any) -> np.ndarray:
        return np.argsort(parts, kind="stable")

    monkeypatch.setattr(partition, "canonical_order", as_in_the_file)
    mean, error = mean_recall(skewed, "Pop", range(10))
    assert abs(mean - 10 / 20) > 6 * error


@pytest.mark.slow
@pytest.mark.parametrize("model", recbole_sibrar.MODELS)
def test_content_finds_new_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Users like one of four genres; of 24 new items, a quarter are of that genre and ten are recommended."""
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(9)
    folder = tmp_path / "genres"
    folder.mkdir()
    liked = [
        f"u{u}\ti{i}"
        for u in range(80)
        for i in range(120)
        if rng.random() < (0.5 if u % 4 == i % 4 else 0.01)
    ]
    (folder / "genres.inter").write_text(
        "\n".join(["user_id:token\titem_id:token", *liked]), encoding="utf-8"
    )
    items = [f"i{i}\tg{i % 4}" for i in range(120)]
    (folder / "genres.item").write_text(
        "\n".join(["item_id:token\tgenre:token", *items]), encoding="utf-8"
    )
    settings = {
        "data_path": str(tmp_path),
        "load_col": None,
        "eval_args": cold("item"),
        "epochs": 15,
        "seed": 3,
    }
    settings |= {
        "train_batch_size": 1024,
        "state": "ERROR",
        "metrics": ["Recall"],
        "learning_rate": 0.01,
    }
    config = {
        **settings,
        "valid_metric": "Recall@10",
        "user_modalities": ["id"],
        "preference_size": 8,
    }
    run = Run(Config(model, "genres", config_dict=config))
    assert chance(run, 10, "split")[0] == pytest.approx(10 / 24)
    assert run.test()["recall@10"] > 0.9


# Ready-made configurations
