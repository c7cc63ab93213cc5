"""What is ranked and what is drawn: for every model, in full and in sampled evaluation, through the loaders alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.evaluator import Collector
from recbole.utils import get_trainer
from recbole.utils.case_study import full_sort_topk

import recbole_sibrar
from recbole_sibrar.data.atomic import DataError

MakeConfig = Callable[..., Config]
MakeModel = Callable[..., tuple[Any, ...]]
Ranked = dict[int, set[int]]

MODELS = [
    *recbole_sibrar.MODELS,
    "BPR",
    "Pop",
    "ItemKNN",
    "EASE",
    "LightGCN",
    "DMF",
    "NeuMF",
    "MultiVAE",
]
"""Ours, and one of each family of RecBole's: also with scores of pairs (NeuMF) and batches of users (MultiVAE)."""

EVALUATIONS: dict[str, dict[str, Any]] = {
    "item": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"},
    "user": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "user"},
    "both": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "both"},
    "warm": {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"},
}


def pairs(loader: Any) -> set[tuple[int, int]]:
    """Pairs of user and item in the part that a loader holds."""
    table = loader._dataset.inter_feat
    return set(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))


def items_of(found: set[tuple[int, int]]) -> set[int]:
    return {item for _, item in found}


def expected(train: Any, valid: Any, test: Any, candidates: str) -> tuple[Ranked, Ranked]:
    """What is ranked for each user of validation and test, worked out from the pairs.

    What RecBole masks is all of a user's interactions in earlier parts.
    """
    found = []
    earlier = pairs(train)
    for loader in (valid, test):
        own = pairs(loader)
        pool = items_of(own) if candidates == "split" else set(range(1, loader._dataset.item_num))
        found.append({user: pool - {i for u, i in earlier - own if u == user} for user, _ in own})
        earlier = earlier | own
    return found[0], found[1]


@pytest.fixture
def ranked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Callable[..., tuple[Ranked, dict[str, float]]]:
    """Evaluate a model as RecBole's trainer does: which items have a score when RecBole ranks, and the results."""
    found: Ranked = {}
    original = Collector.eval_batch_collect

    def spy(collector: Any, scores: torch.Tensor, interaction: Any, *others: Any) -> None:
        users = torch.unique_consecutive(interaction["user_id"]).tolist()
        for user, row in zip(users, scores, strict=True):
            found[user] = set(torch.isfinite(row).nonzero().ravel().tolist())
        original(collector, scores, interaction, *others)

    monkeypatch.setattr(Collector, "eval_batch_collect", spy)

    def evaluate(
        config: Config, model: Any, loader: Any, train: Any = None
    ) -> tuple[Ranked, dict[str, float]]:
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        if train is not None:
            trainer.fit(train, saved=False, show_progress=False)
        found.clear()
        return found, trainer.evaluate(loader, load_best_model=False)

    return evaluate


@pytest.mark.slow
@pytest.mark.parametrize("case", EVALUATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_models_rank_candidates_alone(
    make_model: MakeModel,
    ranked: Callable[..., tuple[Ranked, dict[str, float]]],
    model: str,
    case: str,
) -> None:
    settings = {
        "eval_args": EVALUATIONS[case],
        "epochs": 1,
        "eval_candidates": "split",
        "eval_batch_size": 300,
    }
    config, network, train, valid, test = make_model(model=model, **settings)
    found, results = ranked(config, network, test, train)
    assert found == expected(train, valid, test, "split")[1]
    assert 0 <= results["recall@10"] <= 1


@pytest.mark.parametrize("case", EVALUATIONS)
@pytest.mark.parametrize("candidates", ["split", "all", None])
def test_the_key_says_which_items_compete(
    make_model: MakeModel,
    ranked: Callable[..., tuple[Ranked, dict[str, float]]],
    case: str,
    candidates: str | None,
) -> None:
    """Without the key, a cold-start split ranks the part's items and every other split ranks all."""
    config, network, *loaders = make_model(
        model="BPR", eval_args=EVALUATIONS[case], eval_candidates=candidates
    )
    meant = candidates or ("all" if case == "warm" else "split")
    for loader, ranking in zip(loaders[1:], expected(*loaders, meant), strict=True):
        found, _ = ranked(config, network, loader)
        assert found == ranking
        if meant == "split":
            assert set(np.flatnonzero(loader.candidates)) == items_of(pairs(loader))


def test_cold_candidates_are_new(make_model: MakeModel) -> None:
    _, _, train, valid, test = make_model(model="BPR", eval_args=EVALUATIONS["item"])
    known = items_of(pairs(train))
    assert not known & set(np.flatnonzero(valid.candidates)) | known & set(
        np.flatnonzero(test.candidates)
    )
    assert not (valid.candidates & test.candidates).any()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SASRec", "FM"])
def test_other_kinds_rank_candidates(
    make_model: MakeModel, ranked: Callable[..., tuple[Ranked, dict[str, float]]], model: str
) -> None:
    sampling = {"distribution": "uniform", "sample_num": 1}
    settings: dict[str, Any] = {"eval_args": EVALUATIONS["warm"], "train_neg_sample_args": sampling}
    settings |= {"metrics": ["Recall"], "valid_metric": "Recall@10"}
    if model == "SASRec":
        split = {
            "split": {"LS": "valid_and_test"},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        }
        settings |= {"eval_args": split, "train_neg_sample_args": None}
        settings["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
    config, network, train, _, test = make_model(
        model=model, eval_candidates="split", epochs=1, **settings
    )
    found, _ = ranked(config, network, test, train)
    candidates = items_of(pairs(test))
    assert len(candidates) < test._dataset.item_num - 1
    assert set.union(*found.values()) == candidates


@pytest.mark.parametrize("mode", ["uni100", "pop100"])
@pytest.mark.parametrize("case", EVALUATIONS)
@pytest.mark.parametrize("candidates", ["split", "all"])
def test_sampled_candidates_share_their_set(
    make_model: MakeModel,
    ranked: Callable[..., tuple[Ranked, dict[str, float]]],
    case: str,
    mode: str,
    candidates: str,
) -> None:
    """One hundred draws of few items: with the held-out ones, nearly all that are ranked in a full evaluation."""
    settings = {"eval_args": {**EVALUATIONS[case], "mode": mode}, "eval_candidates": candidates}
    if mode == "pop100" and candidates == "split" and case in ("item", "both"):
        with pytest.raises(
            DataError,
            match=r"valid cannot be drawn by popularity, because none of the \d+ candidates",
        ):
            make_model(model="BPR", **settings)
        return
    config, network, *loaders = make_model(model="BPR", **settings)
    known = items_of(pairs(loaders[0]))
    history: set[tuple[int, int]] = pairs(loaders[0])
    for loader, ranking in zip(loaders[1:], expected(*loaders, candidates), strict=True):
        found, _ = ranked(config, network, loader)
        own = pairs(loader)
        assert set(found) == {user for user, _ in own}
        for user, items in found.items():
            positives = {i for u, i in own if u == user}
            assert positives <= items <= ranking[user]
            drawable = ranking[user] - positives
            if mode == "pop100":
                drawable &= known
            assert items - positives <= drawable
            assert len(items - positives) > 0.6 * len(drawable)
            assert not {(user, i) for i in items - positives} & history
        history |= own


@pytest.mark.parametrize("model", ["BPR", "NeuMF"])
def test_labels_of_sampled_negatives(make_model: MakeModel, model: str) -> None:
    mode = {**EVALUATIONS["item"], "mode": "uni100"}
    _, _, _, _, test = make_model(model=model, eval_args=mode)
    own = pairs(test)
    for batch, rows, positive_rows, positive_items in test:
        users, items, labels = (batch[name].tolist() for name in ("user_id", "item_id", "label"))
        assert [(user, item) in own for user, item in zip(users, items, strict=True)] == [
            label == 1 for label in labels
        ]
        assert len(positive_rows) == len(positive_items) == sum(labels)
        assert len(rows) == len(users) == 101 * sum(labels)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["item", "user", "both"])
@pytest.mark.parametrize("model", ["SiBraR", "BPR", "NeuMF", "LightGCN"])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_training_draws_training_items(
    make_model: MakeModel, model: str, case: str, distribution: str
) -> None:
    settings = {
        "train_neg_sample_args": {"distribution": distribution, "sample_num": 4},
        "loss_type": "BPR",
    }
    _, _, train, *_ = make_model(model=model, eval_args=EVALUATIONS[case], **settings)
    own = pairs(train)
    drawn = []
    for _ in range(3):
        for batch in train:
            if "neg_item_id" in batch:
                drawn += list(
                    zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist(), strict=True)
                )
            else:
                negative = batch["label"] == 0
                drawn += list(
                    zip(
                        *(batch[name][negative].tolist() for name in ("user_id", "item_id")),
                        strict=True,
                    )
                )
    assert len(drawn) == 3 * 4 * len(train._dataset)
    assert not set(drawn) & own
    assert items_of(set(drawn)) == items_of(own)


@pytest.mark.parametrize("case", EVALUATIONS)
def test_sampled_softmax_knows_the_pool(make_model: MakeModel, case: str) -> None:
    _, network, train, *_ = make_model(eval_args=EVALUATIONS[case])
    drawable = 40 if case == "warm" else len(items_of(pairs(train)))
    assert network.n_negative_candidates == drawable


def test_case_study_ranks_the_candidates(make_model: MakeModel) -> None:
    _, network, train, valid, test = make_model(eval_args=EVALUATIONS["item"])
    users = sorted({user for user, _ in pairs(test)})
    n = len(items_of(pairs(test)))
    scores, items = full_sort_topk(users, network, test, n + 3)
    assert set(items[:, :n].ravel().tolist()) == items_of(pairs(test))
    assert torch.isfinite(scores[:, :n]).all()
    assert (scores[:, n:] == -torch.inf).all()
    ranking = expected(train, valid, test, "split")[1]
    assert all(
        set(row[:n].tolist()) == ranking[user] for user, row in zip(users, items, strict=True)
    )


def test_other_splits_use_recboles_loader(make_model: MakeModel) -> None:
    _, _, _, valid, test = make_model(model="BPR", eval_args=EVALUATIONS["warm"])
    assert {type(valid).__module__, type(test).__module__} == {
        "recbole.data.dataloader.general_dataloader"
    }


def test_saved_loaders_of_other_candidates(make_model: MakeModel) -> None:
    settings = {"model": "BPR", "eval_args": EVALUATIONS["item"]}
    make_model(**settings, save_dataloaders=True)
    *_, again = make_model(**settings)
    *_, other = make_model(**settings, eval_candidates="all")
    assert hasattr(again, "candidates")
    assert not hasattr(other, "candidates")
