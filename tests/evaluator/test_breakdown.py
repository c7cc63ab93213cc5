"""Results by group and by user, against evaluations of those users alone and against the scores of the model."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import get_trainer, init_seed

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.evaluator.evaluation_state import evaluation_state
from recbole_sibrar.plugin.evaluation import hooks

Build = Callable[..., tuple[Any, ...]]
USER_LEVEL = ["ARP", "APLT", "ACLT", "Novelty", "ILD", "UserCalibration", "F1", "Recall"]
USER_LEVEL += ["NDCG", "MRR", "Precision", "Hit", "MAP", "AveragePopularity"]
OTHERS = ["Coverage", "Gini", "PL", "PopREO", "PopRSP", "ItemCoverage"]
OTHERS += ["GiniIndex", "ShannonEntropy"]
EVALUATION: dict[str, Any] = {
    "model": "BPR",
    "metrics": [*USER_LEVEL, *OTHERS],
    "topk": [3, 10],
    "metric_decimal_place": 10,
    "ild_modality": "tags",
    "calibration_field": "tags",
    "eval_batch_size": 300,
    "eval_args": {
        "split": {"RS": [0.6, 0.1, 0.3]},
        "group_by": "user",
        "order": "RO",
        "mode": "full",
    },
}


def cold(group_by: str) -> dict[str, Any]:
    return {"split": {"CS": [0.5, 0.2, 0.3]}, "group_by": group_by, "order": "RO", "mode": "full"}


def evaluate(built: tuple[Any, ...], loader: Any = None) -> dict[str, float]:
    config, model, *_, test = built
    init_seed(7, True)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return dict(trainer.evaluate(loader or test, load_best_model=False))


def of_group(result: dict[str, float], label: str) -> dict[str, float]:
    return {
        key.removesuffix(f"[{label}]"): value
        for key, value in result.items()
        if key.endswith(f"[{label}]")
    }


def labels(result: dict[str, float]) -> list[str]:
    return list(dict.fromkeys(key.split("[")[1][:-1] for key in result if "[" in key))


def pairs(loader: Any) -> dict[str, set[str]]:
    """The items of each user, by their names in the file."""
    table, names = loader._dataset.inter_feat, loader._dataset.field2id_token
    found: dict[str, set[str]] = {}
    for user, item in zip(
        names["user_id"][table["user_id"]], names["item_id"][table["item_id"]], strict=True
    ):
        found.setdefault(user, set()).add(item)
    return found


def rankings(built: tuple[Any, ...]) -> dict[str, list[str]]:
    """All items that each test user has not had before, best first, from the scores of the model."""
    _, model, train, valid, test = built
    names, ids = test._dataset.field2id_token["item_id"], test._dataset.field2token_id["user_id"]
    had = [pairs(train), pairs(valid)]
    found = {}
    for user in pairs(test):
        with torch.no_grad():
            batch = Interaction({"user_id": torch.tensor([ids[user]])})
            scores = model.eval().full_sort_predict(batch).flatten()
        order = [str(names[item]) for item in scores.argsort(descending=True).tolist() if item]
        found[user] = [
            item for item in order if not any(item in part.get(user, ()) for part in had)
        ]
    return found


def rewrite(folder: Path, side: str, column: int, values: Callable[[str], str]) -> None:
    file = folder / "tiny" / f"tiny.{side}"
    header, *lines = [line.split("\t") for line in file.read_text().splitlines()]
    rows = [[*row[:column], values(row[0]), *row[column + 1 :]] for row in lines]
    file.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_user_groups_are_independent(make_model: Build, mode: str) -> None:
    arguments = {**EVALUATION["eval_args"], "mode": mode}
    built = make_model(
        **{**EVALUATION, "eval_args": arguments}, eval_groups={"gender": "user", "likes": "user"}
    )
    config, _, _, _, test = built
    result = evaluate(built)
    assert labels(result) == [f"gender=c{n}" for n in range(3)] + [f"likes=t{n}" for n in range(6)]
    if mode != "full":  # other negatives would be drawn for fewer users
        return
    members = {
        "gender=c1": {f"u{n}" for n in range(1, 30) if n % 7 and n % 3 == 1},
        "likes=t2": {f"u{n}" for n in range(1, 30) if n % 5 and (n % 4 == 2 or n % 6 == 2)},
    }
    names = test._dataset.field2id_token["user_id"]
    for label, users in members.items():
        chosen = np.isin(names[test._dataset.inter_feat["user_id"]].astype(str), list(users))
        part = test._dataset.copy(test._dataset.inter_feat[torch.from_numpy(chosen)])
        loader = type(test)(config, part, test._sampler, shuffle=False)
        hooks.prepare(loader, "valid", evaluation_state(test).knowledge)
        alone = evaluate(built, loader)
        assert len(alone) == 2 * len(config["metrics"])
        assert of_group(result, label) == pytest.approx(alone, nan_ok=True)


def test_groups_leave_the_overall_result(make_model: Build) -> None:
    groups = {"gender": "user", "kind": "item", "popularity": "item"}
    with_groups, without = (
        evaluate(make_model(**EVALUATION, eval_groups=groups)),
        evaluate(make_model(**EVALUATION)),
    )
    assert {key: value for key, value in with_groups.items() if "[" not in key} == without


def groups_of_items(train: dict[str, set[str]]) -> dict[str, set[str]]:
    counts = Counter(item for items in train.values() for item in items)
    found = {
        f"kind=c{c}": {f"i{n}" for n in range(1, 40) if n % 7 and n % 3 == c} for c in range(3)
    }
    by_popularity = sorted(counts.values())
    # in the data of this test no tie stands on the border
    border = by_popularity[len(counts) * 8 // 10]
    assert by_popularity[len(counts) * 8 // 10 - 1] < border
    found["popularity=head"] = {item for item, n in counts.items() if n >= border}
    found["popularity=tail"] = set(counts) - found["popularity=head"]
    return found


def test_item_groups_count_only_members(make_model: Build) -> None:
    for seed in range(2020, 2060):  # a split without a tie on the border of head and tail
        built = make_model(
            **EVALUATION, eval_groups={"kind": "item", "popularity": "item"}, seed=seed
        )
        counts = sorted(
            Counter(item for items in pairs(built[2]).values() for item in items).values()
        )
        if counts[len(counts) * 8 // 10 - 1] < counts[len(counts) * 8 // 10]:
            break
    result, held_out, lists = evaluate(built), pairs(built[4]), rankings(built)
    expected_groups = groups_of_items(pairs(built[2]))
    assert labels(result) == list(expected_groups)
    for label, members in expected_groups.items():
        found = of_group(result, label)
        assert "coverage@3" in found
        assert "itemcoverage@3" not in found  # RecBole's own count all items
        users = [user for user, items in held_out.items() if items & members]
        for k in (3, 10):
            recall = [
                len(set(lists[u][:k]) & held_out[u] & members) / len(held_out[u] & members)
                for u in users
            ]
            precision = [len(set(lists[u][:k]) & held_out[u] & members) / k for u in users]
            shown = set().union(*(lists[u][:k] for u in users)) & members
            assert found[f"recall@{k}"] == pytest.approx(np.mean(recall))
            assert found[f"precision@{k}"] == pytest.approx(np.mean(precision))
            assert found[f"coverage@{k}"] == pytest.approx(len(shown) / len(members))
            tail = expected_groups["popularity=tail"]
            aclt = [len(set(lists[u][:k]) & members & tail) for u in users]
            assert found[f"aclt@{k}"] == pytest.approx(np.mean(aclt))


def test_groups_belong_to_the_test_only(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    built = make_model(**EVALUATION, eval_groups={"gender": "user"}, save_per_user="users.parquet")
    config, model, train, valid, test = built
    caplog.set_level(logging.INFO)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    _, best = trainer.fit(train, valid, saved=False, show_progress=False)
    assert not labels(best)
    assert "results by group" not in caplog.text
    assert not Path("users.parquet").exists()
    result = trainer.evaluate(test, load_best_model=False)
    assert labels(result)
    assert Path("users.parquet").exists()
    table = caplog.text.split("results by group\n")[1]
    rows = {line.split()[0]: line.split()[1] for line in table.splitlines()[1:5]}
    sizes = {
        f"gender=c{c}": str(len([n for n in range(1, 30) if n % 7 and n % 3 == c]))
        for c in range(3)
    }
    assert rows == {"all": "30", **sizes}


def test_groups_without_users_are_named(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(tiny_folder, "user", 1, lambda user: f"like-{user}")
    built = make_model(**{**EVALUATION, "eval_args": cold("user")}, eval_groups={"gender": "user"})
    caplog.set_level(logging.INFO)
    result = evaluate(built)
    # u30 has no line in the file
    present = {f"gender=like-{user}" for user in pairs(built[4]) if user != "u30"}
    assert set(labels(result)) == present
    (line,) = [
        r.getMessage() for r in caplog.records if "groups without a test user" in r.getMessage()
    ]
    everyone = {f"gender=like-u{n}" for n in range(1, 30)}
    assert {part.strip() for part in line.split(": ")[1].split(",")} == everyone - present


def test_cold_items_are_in_neither_half(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    groups = {"popularity": "item", "kind": "item"}
    built = make_model(**{**EVALUATION, "eval_args": cold("item")}, eval_groups=groups)
    caplog.set_level(logging.INFO)
    assert all(label.startswith("kind=") for label in labels(evaluate(built)))
    assert "groups without a test user: popularity=head, popularity=tail" in caplog.text


@pytest.mark.parametrize("model", ["BPR", "Pop", "SiBraR"])
def test_groups_ignore_the_model_fields(make_model: Build, model: str) -> None:
    settings = {**EVALUATION, "model": model, "valid_metric": "MRR@10", "epochs": 1}
    config, net, train, valid, test = make_model(
        **settings, eval_groups={"gender": "user", "tags": "item"}
    )
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, net)
    trainer.fit(train, valid, saved=False, show_progress=False)
    found = labels(trainer.evaluate(test, load_best_model=False))
    assert found == [f"gender=c{n}" for n in range(3)] + [f"tags=t{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("groups", "pieces"),
    [
        ({"gendre": "user"}, ["'gendre'", "tiny.user", "gender, likes", "did you mean 'gender'?"]),
        ({"gender": "item"}, ["'gender'", "tiny.item", "kind, tags"]),
        ({"profile": "user"}, ["'profile'", "type float_seq", "tiny.user", "token"]),
        ({"user_id": "user"}, ["'user_id'", "gender, likes"]),
        (
            {"gender": "users"},
            ["eval_groups: gender", "users", "did you mean 'user'?", "{gender: user"],
        ),
        ({"popularity": "user"}, ["popularity: item"]),
        (["gender"], ["['gender']", "{gender: user"]),
    ],
)
def test_wrong_groups_fail_before_training(
    make_model: Build, groups: Any, pieces: list[str]
) -> None:
    with pytest.raises((DataError, ConfigError)) as caught:
        make_model(**EVALUATION, eval_groups=groups)
    text = str(caught.value)
    assert text.startswith("eval_groups: ")
    assert "\n" not in text
    assert all(piece in text for piece in pieces), text


def test_groups_of_a_missing_file(make_model: Build, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.user"
    file.unlink()
    with pytest.raises(
        DataError, match=r"eval_groups: found 'gender', but the file .*tiny.user.* does not exist"
    ):
        make_model(**EVALUATION, eval_groups={"gender": "user"})


@pytest.mark.parametrize("mode", ["full", "uni20"])
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_user_file_averages_to_the_result(make_model: Build, model: str, mode: str) -> None:
    arguments = {**EVALUATION["eval_args"], "mode": mode}
    settings = {**EVALUATION, "model": model, "eval_args": arguments}
    built = make_model(**settings, save_per_user="results/users.parquet")
    result, frame = evaluate(built), pd.read_parquet("results/users.parquet")
    held_out = pairs(built[4])
    assert sorted(frame["user_id"]) == sorted(held_out)
    assert list(frame) == [
        "user_id",
        *(f"{m.lower()}@{k}" for m in (*USER_LEVEL, "PL") for k in (3, 10)),
        "items",
    ]
    for metric in USER_LEVEL:
        for k in (3, 10):
            assert frame[f"{metric.lower()}@{k}"].mean() == pytest.approx(
                result[f"{metric.lower()}@{k}"], abs=1e-9
            )
    for _, row in frame.iterrows():
        assert row["recall@3"] == len(set(row["items"][:3]) & held_out[row["user_id"]]) / len(
            held_out[row["user_id"]]
        )
    assert [path.name for path in Path("results").iterdir()] == ["users.parquet"]


def test_user_file_has_items_best_first(make_model: Build) -> None:
    built = make_model(**EVALUATION, save_per_user="users.parquet")
    evaluate(built)
    frame, lists = pd.read_parquet("users.parquet"), rankings(built)
    assert {row["user_id"]: list(row["items"]) for _, row in frame.iterrows()} == {
        u: x[:10] for u, x in lists.items()
    }


def test_undefined_values_in_user_files(make_model: Build) -> None:
    built = make_model(
        **{**EVALUATION, "eval_args": cold("item"), "topk": [3, 20]}, save_per_user="users.parquet"
    )
    evaluate(built)
    frame = pd.read_parquet("users.parquet")
    assert frame[["arp@3", "aplt@20", "pl@3", "novelty@20"]].isna().all(axis=None)
    assert frame[["f1@3", "recall@20", "ild@20"]].notna().all(axis=None)
    candidates = set().union(*pairs(built[4]).values())
    # fewer than 20, nothing in the empty places
    assert all(set(items) == candidates for items in frame["items"])


def test_lift_of_a_single_user(make_model: Build) -> None:
    built = make_model(**EVALUATION, save_per_user="users.parquet")
    evaluate(built)
    frame, train = pd.read_parquet("users.parquet").set_index("user_id"), pairs(built[2])
    counts = Counter(item for items in train.values() for item in items)
    for user, row in frame.iterrows():
        had = np.mean([counts[item] for item in train[str(user)]])
        got = np.mean([counts[item] for item in row["items"][:3]])
        assert math.isclose(row["pl@3"], got / had - 1)


def folder(path: Path) -> None:
    path.mkdir()


def file_for_a_folder(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file")


@pytest.mark.parametrize("obstacle", [folder, file_for_a_folder])
def test_unwritable_user_file_fails_early(
    make_model: Build, tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    path = tmp_path / "results" / "users.parquet"
    path.parent.mkdir()
    obstacle(path)
    config, model, train, valid, test = make_model(**EVALUATION, save_per_user=str(path))
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    for step in (
        lambda: trainer.fit(train, valid, saved=False, show_progress=False),
        lambda: trainer.evaluate(test, load_best_model=False),
    ):
        with pytest.raises(DataError, match=rf"^save_per_user: cannot write {path}: .+$"):
            step()
    assert not [
        file
        for file in tmp_path.rglob("*")
        if file.is_file() and ("writing" in file.name or "tmp" in file.name)
    ]


def test_failed_writing_leaves_the_old_file(
    make_model: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built = make_model(**EVALUATION, save_per_user="results/users.parquet")
    evaluate(built)
    before = Path("results/users.parquet").read_bytes()

    def full_disk(frame: pd.DataFrame, path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(
        DataError,
        match=r"save_per_user: cannot write results/users.parquet: No space left on device",
    ):
        evaluate(built)
    assert [file.name for file in Path("results").iterdir()] == ["users.parquet"]
    assert Path("results/users.parquet").read_bytes() == before


@pytest.mark.parametrize("path", ["users.txt", "", 3])
def test_a_file_of_users_says_its_format(make_model: Build, path: Any) -> None:
    allowed = r"allowed is the path of a file that ends in \.parquet, \.csv, \.jsonl"
    with pytest.raises(ConfigError, match=rf"save_per_user: found .*, {allowed}$"):
        make_model(**EVALUATION, save_per_user=path)
