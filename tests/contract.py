"""Contract of a model: one class of tests for every model, ours and RecBole's.

Derive from :class:`ModelContract` with the name of another model in ``parametrize`` to test it alike. As a script,
``python contract.py OUTPUT DATA_PATH``, it trains every model in two processes; each writes to ``OUTPUT.RANK``.
"""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import pytest
import recbole
import torch
import yaml
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model
from recbole.utils import get_model, get_trainer, init_logger, init_seed

import recbole_sibrar
from recbole_sibrar import properties
from recbole_sibrar.config import ConfigError

MakeConfig = Callable[..., Config]

PROPERTIES = Path(properties.__path__[0])
PROPERTIES_OF_RECBOLE = Path(recbole.__file__).parent / "properties"

MODELS = (*recbole_sibrar.OWN_MODELS, "BPR", "LightGCN", "ItemKNN")

COUNTING = frozenset({*recbole_sibrar.BASELINES, "ItemKNN", "Pop"})
"""Models without a loss. They count the training interactions once."""

OF_ITEM_FIELDS = frozenset({"GenreAffinity", "CEASE", "VBPR", "ALDI"})
"""Models that are nothing without fields of the items."""

HARD = {"dropout_prob": 0.3, "batch_norm": "last", "user_modalities": "auto"}
"""Keys for steps with random numbers, and with state besides the parameters."""

SMALL = {
    "DropoutNet": {"preference_size": 8},
    "Heater": {"preference_size": 8},
    "ALDI": {"preference_size": 8},
}
"""Keys needed by the small data set."""

COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "mode": "full"}


def keys_of(model: str) -> dict[str, Any]:
    """Keys with which the contract trains a model."""
    fixed = getattr(get_model(model), "fixed", HARD)  # RecBole's models know none of the keys
    hard = {key: value for key, value in HARD.items() if key not in fixed}
    return {"model": model, "epochs": 3, "stopping_step": 100, **hard}


def defaults_of(model: str) -> dict[str, Any]:
    """Content of the file of defaults of a model, read as RecBole does: 1e-5 is a number."""
    folder = PROPERTIES if model in recbole_sibrar.OWN_MODELS else PROPERTIES_OF_RECBOLE
    text = (folder / "model" / f"{model}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=Config._build_yaml_loader(None))


def prepare(config: Config, model_class: type | None = None) -> tuple[Any, ...]:
    """RecBole's steps up to the trainer: ``trainer, train, valid, test``."""
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, valid, test = data_preparation(config, create_dataset(config))

    init_seed(config["seed"], config["reproducibility"])
    model = (model_class or get_model(config["model"]))(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return trainer, train, valid, test


def outcome(trainer: Any, train: Any, valid: Any, test: Any) -> dict[str, Any]:
    """Train to the end and collect all results."""
    score, result = trainer.fit(train, valid)
    last = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    return {
        "score": score,
        "valid": dict(result),
        "losses": dict(trainer.train_loss_dict),
        "last": last,
        "test": dict(trainer.evaluate(test)),
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare two outcomes bit by bit."""
    for key in ("score", "valid", "losses", "test"):
        assert found[key] == expected[key], key

    assert found["last"].keys() == expected["last"].keys()
    for name, value in expected["last"].items():
        assert torch.equal(found["last"][name], value), name


def assert_shares(result: dict[str, float]) -> None:
    """Check that every default metric lies between 0 and 1."""
    assert len(result) == 5
    assert all(0 <= value <= 1 for value in result.values()), result


class ModelContract:
    """Properties of every model; ``parametrize("model", names)`` names the models."""

    def test_defaults(self, make_config: MakeConfig, model: str) -> None:
        config = make_config(model)
        defaults = {
            key: value
            for key, value in defaults_of(model).items()
            if key not in config.external_config_dict
        }
        assert defaults
        for key, value in defaults.items():  # dictionaries are completed
            if key != "train_neg_sample_args" or value is not None:  # RecBole replaces None
                assert config[key] == (config[key] | value if isinstance(value, dict) else value), (
                    key
                )

        assert_shares(outcome(*prepare(config))["test"])

    def test_unknown_key(
        self, make_config: MakeConfig, model: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_config(model, learning_ratee=0.1, nonsense=1)
        assert "the key 'nonsense' has no effect" in caplog.text
        assert "the key 'learning_ratee' has no effect" in caplog.text
        assert "did you mean 'learning_rate'?" in caplog.text

        with pytest.raises(
            ConfigError, match=r"^eval_group: unknown key; did you mean 'eval_groups'\?$"
        ):
            make_config(model, eval_group={"gender": "user"})

    def test_same_seed(self, make_config: MakeConfig, model: str, expected: dict[str, Any]) -> None:
        assert_same(outcome(*prepare(make_config(**keys_of(model)))), expected)

        other = outcome(*prepare(make_config(**{**keys_of(model), "seed": 7, "epochs": 1})))
        if model in COUNTING:
            assert other["test"] != expected["test"]
        else:
            assert other["losses"][0] != expected["losses"][0]

    def test_resume(self, make_config: MakeConfig, model: str, expected: dict[str, Any]) -> None:
        """A run interrupted by Ctrl-C continues with the same numbers, here with another number of workers."""
        workers = 2 if model in recbole_sibrar.MODELS else 0
        trainer, train, valid, _ = prepare(make_config(**keys_of(model), worker=workers))
        last = 0 if model in COUNTING else 1

        def press(epoch: int, score: float) -> None:
            if epoch == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trainer.fit(train, valid, callback_fn=press)

        if model in COUNTING:  # with a trainer of their own, which writes no states
            with pytest.raises(
                ConfigError, match=f"^resume: found .*, but {model} has a trainer of its own"
            ):
                make_config(**keys_of(model), resume=trainer.saved_model_file)
            return

        resumed, *loaders = prepare(make_config(**keys_of(model), resume=trainer.saved_model_file))
        resumed.saved_model_file = trainer.saved_model_file
        assert_same(outcome(resumed, *loaders), expected)

    def test_reload(self, make_config: MakeConfig, model: str) -> None:
        trainer, *loaders = prepare(make_config(**keys_of(model)))
        expected = outcome(trainer, *loaders)

        config, loaded, _, _, _, test = load_data_and_model(trainer.saved_model_file)
        again = get_trainer(config["MODEL_TYPE"], config["model"])(config, loaded)
        assert dict(again.evaluate(test, load_best_model=False)) == expected["test"]

    @pytest.mark.parametrize("side", ["user", "item"])
    def test_empty_side(
        self, make_config: MakeConfig, tiny_folder: Path, model: str, side: str
    ) -> None:
        (tiny_folder / "tiny" / f"tiny.{side}").unlink()
        if side == "item" and model in OF_ITEM_FIELDS:
            with pytest.raises(ConfigError, match=f"^{model} needs fields of"):
                prepare(make_config(model))
            return

        assert_shares(outcome(*prepare(make_config(model)))["test"])

    @pytest.mark.parametrize("side", ["user", "item"])
    def test_cold_start(self, make_config: MakeConfig, model: str, side: str) -> None:
        config = make_config(model, eval_args={**COLD, "group_by": side})
        trainer, train, valid, test = prepare(config)
        assert_shares(outcome(trainer, train, valid, test)["test"])

        warm, cold = (set(part.dataset.inter_feat[f"{side}_id"].tolist()) for part in (train, test))
        assert cold
        assert not cold & warm

    def test_subclass(
        self, make_config: MakeConfig, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A user's empty subclass trains like its base; those of RecBole's models need the defaults as keys."""
        name = f"Own{model}"
        derived = type(name, (get_model(model),), {})
        # pickle looks for it there
        monkeypatch.setattr(sys.modules[__name__], name, derived, raising=False)
        given = {} if model in recbole_sibrar.OWN_MODELS else defaults_of(model)
        config = make_config(
            derived, **{**given, "load_col": make_config(model)["load_col"], **SMALL.get(model, {})}
        )
        assert config["model"] == name
        assert_same(outcome(*prepare(config, derived)), outcome(*prepare(make_config(model))))

    @pytest.mark.slow
    @pytest.mark.processes
    def test_two_processes(
        self, two_processes: list[dict[str, Any]], model: str, expected: dict[str, Any]
    ) -> None:
        first, second = (found[model] for found in two_processes)
        assert_same(second, first)
        assert all(math.isfinite(loss) for loss in first["losses"].values())
        assert_shares(first["test"])

        if model in COUNTING:  # which are not divided
            assert first["test"] == expected["test"]


@pytest.fixture
def expected(make_config: MakeConfig, model: str) -> dict[str, Any]:
    """Outcome of a whole run, trained once for all tests."""
    if model not in _TRAINED:
        _TRAINED[model] = outcome(*prepare(make_config(**keys_of(model))))
    return _TRAINED[model]


_TRAINED: dict[str, dict[str, Any]] = {}


@pytest.fixture(scope="module")
def two_processes(
    shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Outcomes of every model in each of two processes."""
    folder = tmp_path_factory.mktemp("two_processes")
    command = [sys.executable, __file__, str(folder / "found"), str(shared_folder)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"found.{rank}", weights_only=False) for rank in range(2)]


def train_all(rank: int, output: str, data_path: str, port: int) -> None:
    """Train every model as one of two processes."""
    sys.argv = sys.argv[:1]
    processes = {
        "local_rank": rank,
        "offset": 0,
        "world_size": 2,
        "nproc": 2,
        "ip": "localhost",
        "port": port,
    }
    found = {}

    for model in MODELS:
        settings = {
            "data_path": data_path,
            "load_col": None
            if model in recbole_sibrar.OWN_MODELS
            else {"inter": ["user_id", "item_id"]},
            "show_progress": False,
            "state": "ERROR",
            "gpu_id": "",
            "train_batch_size": 512,
            **SMALL.get(model, {}),
            **keys_of(model),
            **processes,
        }

        found[model] = outcome(*prepare(Config(model, "tiny", config_dict=settings)))

    torch.save(found, f"{output}.{rank}")


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("localhost", 0))
        chosen = free.getsockname()[1]
    torch.multiprocessing.spawn(train_all, (sys.argv[1], sys.argv[2], chosen), nprocs=2)
