"""Views of a mixed evaluation, against rankings worked out with NumPy from the scores of the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from recbole.quick_start import run_recbole
from recbole.utils import get_trainer

from recbole_sibrar.config import ConfigError

Build = Callable[..., tuple[Any, ...]]
View = dict[int, dict[str, float]]

K = 5
METRICS = ["Recall", "NDCG", "Precision", "Coverage", "ItemCoverage", "ARP", "GAUC"]
SETTINGS: dict[str, Any] = {
    "metrics": METRICS,
    "topk": [K],
    "valid_metric": f"NDCG@{K}",
    "metric_decimal_place": 10,
}


def mixed(group_by: str) -> dict[str, Any]:
    split = {"CS": [0.6, 0.2, 0.2], "warm": [0.6, 0.2, 0.2]}
    return {"split": split, "group_by": group_by, "order": "RO", "mode": "full"}


def pairs(loader: Any) -> set[tuple[int, int]]:
    table = loader._dataset.inter_feat
    return set(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))


def scores_of(model: Any, n_users: int) -> NDArray[Any]:
    from recbole.data.interaction import Interaction

    model.eval()
    with torch.no_grad():
        found = model.full_sort_predict(Interaction({"user_id": torch.arange(n_users)}))
    return found.reshape(n_users, -1).numpy()


def expected(
    built: tuple[Any, ...], group_by: str, candidates: str
) -> dict[str, tuple[View, set[int]]]:
    """For each view the results of its users, and its candidates, by the definitions of the guide."""
    _, model, *loaders = built
    train, valid, test = map(pairs, loaders)
    users, items = ({pair[side] for pair in train} for side in (0, 1))
    is_cold = {
        "item": lambda u, i: i not in items,
        "user": lambda u, i: u not in users,
        "both": lambda u, i: u not in users and i not in items,
    }[group_by]
    cold = {pair for pair in test if is_cold(*pair)}
    every = set(range(1, loaders[0]._dataset.item_num))

    pools = {"cold": {i for _, i in cold}, "warm": items | {i for _, i in test - cold}}
    if candidates == "all":
        pools = (
            {"cold": every, "warm": every}
            if group_by == "user"
            else {"cold": every - items, "warm": items}
        )
    pools[""] = pools["cold"] | pools["warm"]

    scores = scores_of(model, loaders[0]._dataset.user_num)
    views: dict[str, tuple[View, set[int]]] = {}
    for name, truth in (("cold", cold), ("warm", test - cold), ("", test)):
        rows: View = {}
        for user in sorted({u for u, _ in truth}):
            held = {i for u, i in truth if u == user}
            seen = {i for u, i in (train | valid) - test if u == user}
            order = sorted(pools[name] - seen, key=lambda i: -scores[user, i])
            hits = [i in held for i in order[:K]]
            gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
            ideal = sum(1 / math.log2(place + 2) for place in range(min(K, len(held))))
            lower = sum(scores[user, i] > scores[user, j] for i in held for j in set(order) - held)
            n_pairs = len(held) * len(set(order) - held)
            rows[user] = {
                f"recall@{K}": sum(hits) / len(held),
                f"ndcg@{K}": gain / ideal,
                f"precision@{K}": sum(hits) / K,
                "gauc": lower / n_pairs if n_pairs else math.nan,
                "n": len(held),
                "top": order[:K],
            }
        views[name] = (rows, pools[name])
    return views


def trainer_of(built: tuple[Any, ...]) -> Any:
    config, model, *_ = built
    return get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


@pytest.mark.parametrize("candidates", ["split", "all"])
@pytest.mark.parametrize("group_by", ["item", "user", "both"])
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_three_columns(make_model: Build, model: str, group_by: str, candidates: str) -> None:
    settings = {
        "eval_args": mixed(group_by),
        "eval_candidates": candidates,
        "eval_batch_size": 150,
        **SETTINGS,
    }
    built = (
        make_model(model=model, user_modalities="auto", **settings)
        if model == "SiBraR"
        else make_model(model=model, **settings)
    )
    result = trainer_of(built).evaluate(built[-1], load_best_model=False)
    n_items = built[2]._dataset.item_num

    for name, (rows, pool) in expected(built, group_by, candidates).items():
        suffix = f"[{name}]" if name else ""
        frame = pd.DataFrame.from_dict(rows, orient="index")
        for metric in (f"recall@{K}", f"ndcg@{K}", f"precision@{K}"):
            assert result[f"{metric}{suffix}"] == pytest.approx(frame[metric].mean(), abs=1e-9), (
                name,
                metric,
            )
        listed = {i for row in frame["top"] for i in row}
        assert result[f"coverage@{K}{suffix}"] == pytest.approx(len(listed) / len(pool))
        assert result[f"itemcoverage@{K}{suffix}"] == pytest.approx(len(listed) / n_items)
        rated = frame.dropna()
        gauc = (rated["gauc"] * rated["n"]).sum() / rated["n"].sum()
        assert result[f"gauc{suffix}"] == pytest.approx(gauc, abs=1e-6)
    cold_arp = result[f"arp@{K}[cold]"]
    assert math.isnan(cold_arp) == (group_by != "user")
    assert len(result) == 3 * len(METRICS)


def test_results_of_users(make_model: Build, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    built = make_model(
        model="BPR",
        eval_args=mixed("item"),
        save_per_user=str(file),
        eval_groups={"gender": "user"},
        **SETTINGS,
    )
    result = trainer_of(built).evaluate(built[-1], load_best_model=False)
    frame = pd.read_csv(file).set_index("user_id")
    tokens = built[-1]._dataset.field2id_token["user_id"]

    assert frame.columns[-1] == "items"
    for name, (rows, _) in expected(built, "item", "split").items():
        suffix = f"[{name}]" if name else ""
        own = frame[f"ndcg@{K}{suffix}"].dropna()
        assert sorted(own.index) == sorted(tokens[list(rows)])
        assert own[tokens[list(rows)]].tolist() == pytest.approx(
            [row[f"ndcg@{K}"] for row in rows.values()]
        )
        assert result[f"ndcg@{K}{suffix}"] == pytest.approx(own.mean(), abs=1e-9)
    groups = {key.split("[", 1)[1] for key in result if "[gender" in key}
    assert groups == {f"gender=c{n}]" for n in range(3)}  # groups are of all interactions


@pytest.mark.parametrize("view", ["cold", "warm"])
def test_early_stopping(make_model: Build, tmp_path: Path, view: str) -> None:
    curve = tmp_path / "curve.csv"
    metric = f"NDCG@{K}[{view}]"
    settings = {
        **SETTINGS,
        "valid_metric": metric,
        "epochs": 6,
        "learning_rate": 0.05,
        "save_learning_curve": str(curve),
    }
    built = make_model(model="BPR", eval_args=mixed("item"), **settings)
    trainer = trainer_of(built)
    score, best = trainer.fit(built[2], built[3], show_progress=False)
    values = pd.read_csv(curve)[metric.lower()]
    assert score == values.max() == best[metric.lower()]
    assert trainer.evaluate(built[3], load_best_model=True)[metric.lower()] == pytest.approx(score)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
@pytest.mark.parametrize(
    "model", ["SiBraR", "EASEContent", "Pop", "ItemKNN", "LightGCN", "MultiVAE", "NeuMF"]
)
def test_whole_run(make_model: Build, tiny_folder: Path, model: str) -> None:
    """Saved loaders, another batch size and repeatable interactions change nothing but what they are for."""
    settings = {
        "data_path": str(tiny_folder),
        "show_progress": False,
        "state": "ERROR",
        "epochs": 1,
        **SETTINGS,
    }
    settings |= {
        "eval_args": mixed("item"),
        "valid_metric": f"Recall@{K}[cold]",
        "train_batch_size": 512,
    }
    if model == "MultiVAE":
        settings["train_neg_sample_args"] = None
    first = run_recbole(
        model=model, dataset="tiny", config_dict={**settings, "save_dataloaders": True}
    )
    again = run_recbole(model=model, dataset="tiny", config_dict=settings)
    single = run_recbole(
        model=model, dataset="tiny", config_dict={**settings, "eval_batch_size": 1}
    )
    assert set(first["best_valid_result"]) == set(first["test_result"])
    for other in (again, single):
        assert dict(other["test_result"]) == pytest.approx(
            dict(first["test_result"]), nan_ok=True, abs=1e-9
        )
        assert other["best_valid_score"] == pytest.approx(first["best_valid_score"])


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:distutils Version classes:DeprecationWarning:thop"
)  # RecBole counts operations
def test_resumed_run(make_model: Build, tiny_folder: Path) -> None:
    settings = {
        "data_path": str(tiny_folder),
        "show_progress": False,
        "state": "ERROR",
        "load_col": None,
        **SETTINGS,
    }
    settings |= {
        "eval_args": mixed("item"),
        "valid_metric": f"NDCG@{K}[cold]",
        "train_batch_size": 512,
    }
    whole = run_recbole(model="SiBraR", dataset="tiny", config_dict={**settings, "epochs": 4})
    half = run_recbole(
        model="SiBraR",
        dataset="tiny",
        config_dict={**settings, "epochs": 2, "checkpoint_dir": "half"},
    )
    resumed = {**settings, "epochs": 4, "resume": half["checkpoint"]}
    again = run_recbole(model="SiBraR", dataset="tiny", config_dict=resumed)
    for result in ("best_valid_result", "test_result"):
        assert dict(again[result]) == pytest.approx(dict(whole[result]), nan_ok=True, abs=0)


def test_repeatable(make_model: Build) -> None:
    """Known interactions may be recommended again: nothing is left out of the ranking."""
    built = make_model(model="BPR", eval_args=mixed("item"), repeatable=True, **SETTINGS)
    result = trainer_of(built).evaluate(built[-1], load_best_model=False)
    scores = scores_of(built[1], built[2]._dataset.user_num)
    test, known = pairs(built[-1]), {i for _, i in pairs(built[2])}
    recalls = []
    for user in {u for u, i in test if i in known}:
        held = {i for u, i in test if u == user and i in known}
        top = sorted(known, key=lambda i: -scores[user, i])[:K]
        recalls.append(len(held & set(top)) / len(held))
    assert result[f"recall@{K}[warm]"] == pytest.approx(np.mean(recalls), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "metric", "message"),
    [
        (
            mixed("item"),
            "NDCG@5[new]",
            r"one of metrics: Recall@5, .*, each also with \[cold\] or \[warm\]",
        ),
        (mixed("item"), "NDCG@7[cold]", r"a cut-off of topk"),
        (
            {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"},
            "NDCG@5[cold]",
            r"one of metrics: .*; \[cold\] needs warm beside CS",
        ),
    ],
)
def test_wrong_valid_metric(
    make_model: Build, arguments: dict[str, Any], metric: str, message: str
) -> None:
    built = make_model(model="BPR", eval_args=arguments, **{**SETTINGS, "valid_metric": metric})
    with pytest.raises(ConfigError, match=rf"^valid_metric: found .*{message}"):
        trainer_of(built).fit(built[2], built[3], show_progress=False)


def test_handmade_loader(make_model: Build) -> None:
    """Views are worked out where RecBole makes the loaders."""
    built = make_model(
        model="BPR",
        eval_args=mixed("item"),
        metrics=["Recall"],
        topk=[K],
        valid_metric=f"Recall@{K}",
    )
    config, test = built[0], built[-1]
    loader = type(test)(config, test._dataset, test._sampler, shuffle=False)
    with pytest.raises(
        ConfigError,
        match=r"^eval_args: split: found .*, which needs the training data; make the loaders",
    ):
        trainer_of(built).evaluate(loader, load_best_model=False)
