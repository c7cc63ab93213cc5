from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recbole.data.dataset
import recbole.data.utils
import recbole.model.general_recommender
import recbole.quick_start
import recbole.trainer
import recbole.utils
import torch
import yaml
from alone import ALONE
from recbole.config import Config
from recbole.evaluator import Collector
from recbole.utils import get_model, get_trainer, init_seed
from recbole.utils.case_study import full_sort_topk

from recbole_sibrar import plugin
from recbole_sibrar.config import own_keys
from recbole_sibrar.config.choices import properties
from recbole_sibrar.config.keys import MODEL_KEYS
from recbole_sibrar.names import MODELS, OWN_MODELS
from recbole_sibrar.plugin import configuration

Build = Callable[..., tuple[Any, ...]]

FIRST = "import recbole_sibrar"
IMPORTS = """
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.utils import get_model
from recbole.utils.case_study import full_sort_topk
"""
USE = """
import glob, json, random
import numpy, torch

settings = {"epochs": 1, "show_progress": False, "state": "ERROR", "train_neg_sample_args": {"sample_num": 1}}
result = run_recbole(model="SiBraR", dataset="ml-100k", config_dict=settings)
(file,) = glob.glob("saved/SiBraR-*.pth")
config, model, _, _, _, test_data = load_data_and_model(file)
from recbole.trainer import Trainer
again = Trainer(config, model).evaluate(test_data, load_best_model=False)
scores, items = full_sort_topk([1, 2], model, test_data, 5)
fresh = Config("SiBraR", "ml-100k", config_dict=settings)
loaders = data_preparation(fresh, create_dataset(fresh))
untrained = get_model("SiBraR")(fresh, loaders[0].dataset)
print(json.dumps({
    "test": dict(result["test_result"]),
    "again": {key: float(value) for key, value in again.items()},
    "topk": items.tolist(),
    "items": sorted(untrained.item_encoder.modalities),
}))
"""
LOOK_UPS = """
import importlib, json, pathlib, random
import numpy, recbole, recbole.quick_start, torch
from recbole.config import Config
from recbole.data.utils import get_dataloader
from recbole.utils import get_model, get_trainer


def named(look_up):
    try:
        found = look_up()
    except Exception as error:
        return repr(error)
    return f"{found.__module__}.{found.__qualname__}" if isinstance(found, type) else repr(found)


def snapshot():
    datasets = importlib.import_module("recbole.data.dataset")
    found = {}
    folder = pathlib.Path(recbole.__path__[0]) / "properties" / "model"
    for name in [*sorted(file.stem for file in folder.glob("*.yaml")), "NoSuchModel", "bpr"]:
        found[name] = [named(lambda: get_model(name)), named(lambda: getattr(datasets, name + "Dataset"))]
        for extra in ({}, {"train_neg_sample_args": None}):
            try:
                config = Config(name, "ml-100k", config_dict=dict(extra))
            except Exception as error:
                found[name].append(repr(error))
                continue
            found[name].append({key: repr(value) for key, value in config.final_config_dict.items()})
            found[name].append(named(lambda: get_trainer(config["MODEL_TYPE"], name)))
            found[name] += [named(lambda: get_dataloader(config, phase)) for phase in ("train", "valid", "test")]
    return found


def random_state():
    kind, keys, *rest = numpy.random.get_state()
    return [random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()]


before = snapshot()
state = random_state()
import recbole_sibrar
same_state = random_state() == state
print(json.dumps({"before": before, "after": snapshot(), "same_state": same_state}))
"""


def run_script(folder: Path, script: str) -> dict[str, Any]:
    """Run a script in a new process; it prints one line of JSON."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results of RecBole's functions, imported before the plugin and after it."""
    before = run_script(tmp_path_factory.mktemp("before"), f"{IMPORTS}\n{FIRST}\n{USE}")
    after = run_script(tmp_path_factory.mktemp("after"), f"{FIRST}\n{IMPORTS}\n{USE}")
    return {"before": before, "after": after}


@pytest.fixture(scope="module")
def look_ups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Look-ups of RecBole's own names before and after the import of the plugin."""
    return run_script(tmp_path_factory.mktemp("look_ups"), ALONE + LOOK_UPS)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("order", ["before", "after"])
def test_functions_imported_at_any_time(orders: dict[str, Any], order: str) -> None:
    found = orders[order]
    assert found["again"] == found["test"]
    assert found["test"]["recall@10"] > 0
    assert [len(set(items)) for items in found["topk"]] == [5, 5]
    assert found["items"] == ["class", "interactions", "movie_title", "release_year"]


@pytest.mark.slow
@pytest.mark.processes
def test_numbers_for_any_order_of_imports(orders: dict[str, Any]) -> None:
    assert orders["before"] == orders["after"]


@pytest.mark.slow
@pytest.mark.processes
def test_look_ups_of_recboles_names(look_ups: dict[str, Any]) -> None:
    before, after = look_ups["before"], look_ups["after"]
    assert before["BPR"][0] == "recbole.model.general_recommender.bpr.BPR"
    assert "Error(" in before["NoSuchModel"][0]
    assert len(before) > 80
    added = set(yaml.safe_load((properties() / "overall.yaml").read_text(encoding="utf-8")))
    for name in before:
        found = [
            {key: value for key, value in part.items() if key not in added}
            if isinstance(part, dict)
            else part
            for part in after[name]
        ]
        assert found == before[name], name
    configurations = [part for found in after.values() for part in found if isinstance(part, dict)]
    assert all(added <= set(configuration) for configuration in configurations)


@pytest.mark.slow
@pytest.mark.processes
def test_import_draws_no_random_numbers(look_ups: dict[str, Any]) -> None:
    assert look_ups["same_state"] is True


@pytest.mark.slow
def test_recboles_functions_in_a_row(
    make_config: Callable[..., Config], tiny_folder: Path, tmp_path: Path
) -> None:
    config = make_config(epochs=1)
    settings = {
        "data_path": str(tiny_folder),
        "load_col": None,
        "epochs": 3,
        "show_progress": False,
        "state": "ERROR",
    }
    result = recbole.quick_start.run_recbole("SiBraR", "tiny", config_dict=settings)
    (file,) = (tmp_path / config["checkpoint_dir"]).glob("SiBraR-*.pth")

    config, model, dataset, _, _, test_data = recbole.quick_start.load_data_and_model(str(file))
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    assert trainer.evaluate(test_data, load_best_model=False) == result["test_result"]
    users = np.array([dataset.token2id(dataset.uid_field, token) for token in ("u3", "u8", "u21")])

    scores, items = full_sort_topk(users, model, test_data, 5)
    for user, ranked in zip(users, items.tolist(), strict=True):
        history = set(test_data.uid2history_item[user].tolist())
        expected = (model.encode_users()[user] @ model.encode_items().t()).detach().numpy()
        allowed = [item for item in range(1, dataset.item_num) if item not in history]
        assert ranked == sorted(allowed, key=lambda item: -expected[item])[:5]
    assert bool((scores[:, :-1] >= scores[:, 1:]).all())


def test_our_model_and_data_set_are_found(make_model: Build) -> None:
    _, model, train_data, _, _ = make_model()
    assert type(model) is recbole.utils.get_model("SiBraR")
    assert set(train_data.dataset.modality_tables("user")) == {
        "interactions",
        "gender",
        "likes",
        "age",
        "profile",
        "id",
    }


def test_registering_again_changes_nothing() -> None:
    owners = [
        Config,
        Collector,
        recbole.trainer.Trainer,
        recbole.data.utils,
        recbole.data.dataset,
        recbole.quick_start,
    ]
    owners += [recbole.quick_start.quick_start, recbole.utils, recbole.utils.case_study, torch]

    def attributes() -> list[tuple[int, str, int]]:
        return [
            (i, name, id(value))
            for i, owner in enumerate(owners)
            for name, value in vars(owner).items()
        ]

    before, modules = attributes(), dict(sys.modules)
    plugin.register()
    assert attributes() == before
    assert sys.modules == modules
    assert plugin.is_registered()


def test_sampled_evaluation(make_model: Build) -> None:
    config, model, train_data, valid_data, test_data = make_model(
        eval_args={"mode": "uni20"},
        topk=[3],
        metrics=["Hit"],
        valid_metric="Hit@3",
        metric_decimal_place=8,
    )
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train_data, valid_data)
    model.eval()

    init_seed(5, True)
    found = trainer.evaluate(test_data, load_best_model=False)["hit@3"]
    init_seed(5, True)
    users, items = model.encode_users().detach().numpy(), model.encode_items().detach().numpy()

    hits = []
    for interaction, row, positive_row, positive in test_data:
        for index in range(int(positive_row[-1]) + 1):
            mine = (row == index).numpy()
            user = interaction["user_id"].numpy()[mine][0]
            candidates = sorted(set(interaction["item_id"].numpy()[mine]))
            wanted = set(positive[positive_row == index].tolist())
            assert len(candidates) > len(wanted)
            assert 0 not in candidates
            best = sorted(candidates, key=lambda item: -float(users[user] @ items[item]))[:3]
            hits.append(bool(wanted & set(best)))

    assert len(hits) > 20
    assert found == pytest.approx(np.mean(hits), abs=1e-7)


def defaults() -> dict[str, Any]:
    return yaml.safe_load((properties() / "model" / "SiBraR.yaml").read_text(encoding="utf-8"))


def test_model_overrides_recboles_defaults(make_config: Callable[..., Config]) -> None:
    overall = yaml.safe_load(
        (Path(recbole.__path__[0]) / "properties" / "overall.yaml").read_text(encoding="utf-8")
    )
    config = make_config()
    differing = {key for key in defaults() if key in overall and overall[key] != defaults()[key]}
    assert {"learning_rate", "learner"} <= differing
    assert all(
        config[key] == value
        for key, value in overall.items()
        if key in ("eval_step", "stopping_step")
    )
    assert (config["learning_rate"], config["learner"]) == (
        defaults()["learning_rate"],
        defaults()["learner"],
    )


def test_data_set_overrides_model_defaults(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_config()
    (tmp_path / "model").mkdir()
    ours = {**defaults(), "RATING_FIELD": "of_the_model", "eval_step": 7}
    (tmp_path / "model" / "SiBraR.yaml").write_text(yaml.safe_dump(ours), encoding="utf-8")
    general = (properties() / "overall.yaml").read_text(encoding="utf-8")
    (tmp_path / "overall.yaml").write_text(general, encoding="utf-8")
    monkeypatch.setattr(configuration, "properties", lambda: tmp_path)
    config = Config("SiBraR", "ml-100k")
    assert config["RATING_FIELD"] == "rating"
    assert config["eval_step"] == 7


def test_a_user_goes_before_every_default(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_config()
    file = tmp_path / "mine.yaml"
    file.write_text(
        "RATING_FIELD: stars\nlearning_rate: 0.5\ntemperature: 0.5\neval_step: 3\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "argv", ["test", "--temperature=0.7"])
    config = Config("SiBraR", "ml-100k", [str(file)], {"learning_rate": 0.6, "temperature": 0.6})
    found = [config[key] for key in ("RATING_FIELD", "eval_step", "learning_rate", "temperature")]
    assert found == ["stars", 3, 0.6, 0.7]


def test_side_columns_are_loaded_by_default(
    make_config: Callable[..., Config],
) -> None:
    make_config()
    assert Config("SiBraR", "ml-100k")["load_col"]["item"] == "*"
    chosen = {"inter": ["user_id", "item_id"], "item": ["item_id", "class"]}
    assert Config("SiBraR", "ml-100k", config_dict={"load_col": chosen})["load_col"] == chosen


def test_every_default_has_a_comment() -> None:
    lines = (properties() / "model" / "SiBraR.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.strip() and "#" not in line] == []


@pytest.mark.parametrize("model", MODELS)
def test_every_key_has_a_default(model: str) -> None:
    plain = {key for key in own_keys() if not key.startswith(("user_", "item_"))}
    assert len(plain) > 15
    file = properties() / "model" / f"{model}.yaml"
    without_use = {
        *get_model(model).fixed,
        *(["branch_budget"] if get_model(model).single_branch else []),
    }
    assert plain - set(yaml.safe_load(file.read_text(encoding="utf-8"))) == without_use


def test_keys_of_single_models_are_listed() -> None:
    files = [properties() / "model" / f"{model}.yaml" for model in OWN_MODELS]
    keys = [key for file in files for key in yaml.safe_load(file.read_text(encoding="utf-8"))]
    assert {key for key in keys if keys.count(key) < len(MODELS)} - set(own_keys()) == set(
        MODEL_KEYS
    )
