"""Modalities of users chosen by the split, and a warning beside results in which entities have no modality."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_sibrar.parallel import processes

MakeConfig = Callable[..., Config]

FIELDS = ("gender", "likes", "age", "profile")
NEW_USERS = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "user"}
NEW_ITEMS = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}


class Test:
    """A model that is tested untrained, and what the log says."""

    __test__ = False

    def __init__(self, config: Config, caplog: pytest.LogCaptureFixture, times: int = 1) -> None:
        caplog.clear()
        caplog.set_level(logging.INFO)
        self.config = config
        init_seed(config["seed"], config["reproducibility"])
        *_, self.loader = loaders = data_preparation(config, create_dataset(config))
        self.model = get_model(config["model"])(config, loaders[0]._dataset)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, self.model)
        for _ in range(times):
            trainer.evaluate(self.loader, load_best_model=False)
        self.lines = caplog.messages
        self.warnings = [
            x.getMessage() for x in caplog.records if "were scored by the mean" in x.getMessage()
        ]
        assert all(
            x.levelno == logging.WARNING for x in caplog.records if x.getMessage() in self.warnings
        )

    def evaluated(self, field: str) -> list[str]:
        """Original ids of the users or items of the test."""
        dataset = self.loader._dataset
        return [
            str(dataset.field2id_token[field][i]) for i in set(dataset.inter_feat[field].tolist())
        ]


def has_value(token: str, name: str) -> bool:
    """Whether the small data set has a value of a user (see conftest.py)."""
    n, divisor = int(token[1:]), {"gender": 7, "likes": 5, "age": 6, "profile": 4}[name]
    return token != "u30" and n % divisor > 0


@pytest.mark.parametrize("model", ["SiBraR", "MuBraR"])
def test_new_users_have_every_field(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    test = Test(make_config(model, eval_args=NEW_USERS), caplog)
    assert test.model.user_encoder.modalities == ("interactions", *FIELDS)
    assert test.config["user_modalities"] == "auto"  # as the checkpoint will have it
    n = len(test.evaluated("user_id"))
    assert any(
        f"user_modalities: auto (by_split: {2 * n} of {2 * n} evaluated users" in x
        for x in test.lines
    )
    n_without = sum(
        not any(has_value(user, name) for name in FIELDS) for user in test.evaluated("user_id")
    )
    assert len(test.warnings) == bool(n_without)


@pytest.mark.parametrize("model", ["SiBraR", "MuBraR"])
def test_known_users_are_their_interactions(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    for eval_args in (NEW_ITEMS, None):
        test = Test(make_config(model, **({"eval_args": eval_args} if eval_args else {})), caplog)
        assert test.model.user_encoder.modalities == ("interactions",)
        assert test.config["user_modalities"] == ["interactions"]
        assert any(
            "user_modalities: [interactions] (by_split: 0 of " in line for line in test.lines
        )


@pytest.mark.parametrize(("n_new", "chosen"), [(0, 1), (2, 1), (3, 5), (20, 5)])
def test_a_tenth_of_new_users_decides(
    make_config: MakeConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    n_new: int,
    chosen: int,
) -> None:
    """Of 30 evaluated users, parts in files, 3 are a tenth."""
    folder = tmp_path / "parts"
    folder.mkdir()
    users = [f"u{u}" for u in range(1, 31)]
    parts = {
        "train": [(user, f"i{i}") for user in users[n_new:] for i in range(3, 7)]
        + [("u29", "i7"), ("u30", "i8")],
        "valid": [(user, "i1") for user in users[:15]],
        "test": [(user, "i2") for user in users[15:]],
    }
    for part, pairs in parts.items():
        lines = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in pairs)]
        (folder / f"tiny.{part}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = tmp_path / "dataset" / "tiny"
    for side in ("user", "item"):
        (folder / f"tiny.{side}").write_bytes((source / f"tiny.{side}").read_bytes())
    keys = {"data_path": str(folder), "benchmark_filename": list(parts)}
    test = Test(make_config(**keys), caplog)
    assert len(test.model.user_encoder.modalities) == chosen


@pytest.mark.parametrize("asked", ["auto", ["interactions"], ["id"], ["age", "interactions"]])
def test_what_is_asked_for_is_done(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, asked: Any
) -> None:
    test = Test(make_config(user_modalities=asked, eval_args=NEW_USERS), caplog)
    expected = ("interactions", *FIELDS) if asked == "auto" else tuple(asked)
    assert test.model.user_encoder.modalities == expected
    assert test.config["user_modalities"] == asked


def test_by_split_for_items_and_both_sides(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"item_modalities": "by_split", "contrastive": "none"}
    for eval_args, n in ((NEW_ITEMS, 5), (NEW_USERS, 1)):
        assert (
            len(
                Test(make_config(**keys, eval_args=eval_args), caplog).model.item_encoder.modalities
            )
            == n
        )
    for model in ("DropoutNet", "CLCRec"):
        test = Test(make_config(model, modalities="by_split", eval_args=NEW_ITEMS), caplog)
        assert {"kind", "tags", "price", "text"} <= set(test.model.item_encoder.modalities)


# The warning


@pytest.mark.parametrize("model", ["SiBraR", "MuBraR", "DropoutNet"])
def test_users_without_values_are_counted(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    test = Test(
        make_config(model, eval_args=NEW_USERS, user_modalities=["interactions", "age"]),
        caplog,
        times=2,
    )
    users = test.evaluated("user_id")
    n = sum(not has_value(user, "age") for user in users)
    assert n > 0
    assert test.warnings == [
        f"{n} of {len(users)} test users have none of the modalities interactions, age; they were scored by the mean "
        "of all users: set user_modalities=auto, which adds gender, likes, profile"
    ]


@pytest.mark.parametrize("candidates", ["split", "all"])
def test_items_without_values_are_counted(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, candidates: str
) -> None:
    keys = {"item_modalities": ["interactions", "text"], "eval_candidates": candidates}
    test = Test(make_config(eval_args=NEW_ITEMS, **keys), caplog)
    known = set(test.model.item_encoder.trained.nonzero().flatten().tolist())
    tokens = test.loader._dataset.field2id_token["item_id"]
    ranked = (
        test.evaluated("item_id") if candidates == "split" else [str(token) for token in tokens[1:]]
    )
    new = [token for token in ranked if list(tokens).index(token) not in known]
    n = sum(token == "i40" or int(token[1:]) % 4 == 0 for token in new)
    assert n > 0
    (warning,) = test.warnings
    assert warning.startswith(
        f"{n} of {len(ranked)} candidate items have none of the modalities interactions, text; "
    )
    assert warning.endswith(
        "the mean of all items: set item_modalities=auto, which adds kind, tags, price"
    )


def test_clcrec_counts_new_entities_only(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"item_modalities": ["text"], "user_modalities": ["id"]}
    assert (
        Test(make_config("CLCRec", eval_args=NEW_USERS, **keys), caplog)
        .warnings[0]
        .startswith("6 of 6 test users")
    )
    (warning,) = Test(make_config("CLCRec", eval_args=NEW_ITEMS, **keys), caplog).warnings
    assert "candidate items have none of the modalities text" in warning


def test_other_remedies_are_named(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    keys: dict[str, Any] = {"eval_args": NEW_USERS, "user_modalities": "auto"}
    (warning,) = Test(make_config(**keys, user_eval_modalities=["interactions"]), caplog).warnings
    assert warning.endswith("the mean of all users: leave out user_eval_modalities")
    loaded = {"inter": ["user_id", "item_id"], "item": ["item_id", "kind"]}
    (warning,) = Test(make_config(**keys, load_col=loaded), caplog).warnings
    assert warning.endswith("the mean of all users: no other field of the users was loaded")


def test_nothing_is_said_without_need(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    assert Test(make_config(), caplog).warnings == []
    assert Test(make_config("BPR", eval_args=NEW_USERS), caplog).warnings == []


def test_hidden_values_are_no_fault(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    test = Test(make_config(), caplog)
    caplog.clear()
    trainer = get_trainer(test.config["MODEL_TYPE"], "SiBraR")(test.config, test.model)
    with test.model.eval().hiding("item", test.model.item_encoder.availability.clone()):
        trainer.evaluate(test.loader, load_best_model=False)
    assert "scored by the mean" not in caplog.text


def test_one_of_several_processes_warns(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = Test(make_config(eval_args=NEW_USERS, user_modalities=["interactions"]), caplog)
    assert len(test.warnings) == 1
    monkeypatch.setattr(processes, "is_main", lambda config: False)
    assert (
        Test(make_config(eval_args=NEW_USERS, user_modalities=["interactions"]), caplog).warnings
        == []
    )


def test_new_users_get_lists_of_their_own(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """With interactions alone all new users get the same list; with their fields they do not."""
    embeddings = {}
    for asked in ("by_split", ["interactions"]):
        test = Test(make_config(eval_args=NEW_USERS, user_modalities=asked), caplog)
        users = sorted(set(test.loader._dataset.inter_feat["user_id"].tolist()))
        embeddings[str(asked)] = np.unique(
            test.model.eval().encode_users()[users].detach().numpy(), axis=0
        )
    assert len(embeddings["['interactions']"]) == 1
    assert len(embeddings["by_split"]) == len(users)
