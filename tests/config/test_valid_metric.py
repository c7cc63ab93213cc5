"""The validation metric follows metrics and topk where the user has not asked for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config

from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError, check_valid_metric, has_validation

MakeConfig = Callable[..., Config]

LABELLED = {"eval_args": {"mode": "labeled"}, "threshold": {"rating": 3}}


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize(
    ("keys", "expected", "bigger"),
    [
        ({}, "MRR@10", True),
        ({"topk": 20}, "MRR@20", True),
        ({"topk": [20, 5]}, "MRR@20", True),
        ({"topk": [20, 10]}, "MRR@10", True),
        ({"metrics": ["NDCG"]}, "NDCG@10", True),
        ({"metrics": ["ndcg", "mrr"]}, "MRR@10", True),
        ({"metrics": ["Recall", "NDCG"], "topk": [1, 5]}, "Recall@1", True),
        ({"metrics": ["GiniIndex"]}, "GiniIndex@10", False),
        ({"metrics": ["AUC"], **LABELLED}, "AUC", True),
        ({"metrics": ["RMSE", "MAE"], **LABELLED}, "RMSE", False),
    ],
)
def test_the_default_follows(
    make_config: MakeConfig, model: str, keys: dict[str, Any], expected: str, bigger: bool
) -> None:
    config = make_config(model, **keys)
    assert config["valid_metric"] == expected
    assert config["valid_metric_bigger"] is bigger
    check_valid_metric(config)


def test_file_follows_the_command_line(make_config: MakeConfig, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("valid_metric: NDCG@10\nmetrics: [NDCG, MRR]\n", encoding="utf-8")
    base = dict(make_config().variable_config_dict)
    follows = Config(
        "SiBraR", "tiny", config_file_list=[str(file)], config_dict={**base, "topk": [20]}
    )
    assert follows["valid_metric"] == "NDCG@20"
    kept = Config(
        "SiBraR", "tiny", config_file_list=[str(file)], config_dict={**base, "topk": [20, 10]}
    )
    assert kept["valid_metric"] == "NDCG@10"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"valid_metric": "NDCG@10", "topk": [20]},
            "valid_metric: found 'NDCG@10', allowed is a cut-off of topk",
        ),
        (
            {"valid_metric": "MAP@10"},
            "valid_metric: found 'MAP@10', allowed is one of metrics: Recall@10, MRR@10",
        ),
        (
            {"valid_metric": "NDCG"},
            "valid_metric: found 'NDCG', allowed is one of metrics: Recall@10, MRR@10",
        ),
    ],
)
def test_one_that_was_asked_for_is_refused(
    make_config: MakeConfig, keys: dict[str, Any], line: str
) -> None:
    config = make_config(**keys)
    assert config["valid_metric"] == keys["valid_metric"]
    with pytest.raises(ConfigError) as caught:
        check_valid_metric(config)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_refused_before_data_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [f"--model={model}", "--dataset=nowhere", "--topk=20", "--valid_metric=NDCG@10"]
    assert cli.run_recbole(arguments) == cli.WRONG_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == "run_recbole: error: valid_metric: found 'NDCG@10', allowed is a cut-off of topk, which is [20]"
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"eval_step": 0},
        {"epochs": 0},
        {"eval_args": {"split": {"RS": [0.9, 0, 0.1]}}},
        {"eval_args": {"split": {"LS": "test_only"}, "order": "RO"}},
    ],
)
def test_nothing_refused_without_validation(make_config: MakeConfig, keys: dict[str, Any]) -> None:
    assert not has_validation(make_config(**keys))
    assert has_validation(make_config())
