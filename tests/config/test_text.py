"""Values given as text: with and without inner quotes, as a list, a dictionary, an interval or anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recbole.config import Config

MakeConfig = Callable[..., Config]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("load_col", "{inter:[user_id,item_id]}", {"inter": ["user_id", "item_id"]}),
        ("load_col", "{'inter': ['user_id', 'item_id']}", {"inter": ["user_id", "item_id"]}),
        (
            "load_col",
            "{inter: [user_id, item_id], item: '*'}",
            {"inter": ["user_id", "item_id"], "item": "*"},
        ),
        ("threshold", "{rating:3}", {"rating": 3}),
        ("threshold", "{rating:3.5}", {"rating": 3.5}),
        ("metrics", "[Recall,NDCG,MRR]", ["Recall", "NDCG", "MRR"]),
        ("metrics", " [Recall, 'NDCG', MRR]", ["Recall", "NDCG", "MRR"]),
        ("topk", "[5,10]", [5, 10]),
        ("seq_len", "{tags:3}", {"tags": 3}),
        ("eval_args", "{split:{RS:[8,1,1]},order:RO}", {"split": {"RS": [8, 1, 1]}, "order": "RO"}),
        ("unknown", "[id]", ["id"]),
        ("unknown", "[id, max]", ["id", "max"]),
        ("unknown", "[1e-3, 2E5]", [0.001, 200000.0]),
        ("unknown", "['a b', 'c:d']", ["a b", "c:d"]),
        ("unknown", "{'a:b': None}", {"a:b": None}),
        ("unknown", "{a:[b:1,http://c],d:e:f}", {"a": ["b:1", "http://c"], "d": "e:f"}),
        ("unknown", "[]", []),
        ("unknown", "{}", {}),
        ("user_inter_num_interval", "[3,inf)", "[3,inf)"),
        ("user_inter_num_interval", "[3,inf]", "[3,inf]"),
        ("val_interval", "{rating:'[3,inf)'}", {"rating": "[3,inf)"}),
        ("unknown", "[a", "[a"),
        ("unknown", "{a: [}", "{a: [}"),
        ("unknown", "1/0", "1/0"),
        ("unknown", "os.nothing", "os.nothing"),
        ("unknown", "exit()", "exit()"),
        ("unknown", "true", True),
        ("unknown", "2**10", 1024),
    ],
)
def test_text_is_read(make_config: MakeConfig, key: str, text: str, value: Any) -> None:
    overrides = {"valid_metric": "Recall@10"} if key == "metrics" else {}
    config = make_config("BPR", **{**overrides, key: text})
    assert config.external_config_dict[key] == value


def test_values_that_are_no_text_stay(make_config: MakeConfig) -> None:
    value = {"a": ["[b]", 1, None]}
    assert make_config(unknown=value).external_config_dict["unknown"] == value


def test_command_line_reads_alike(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["test", "--metrics=[NDCG,Recall]", "--threshold={rating:3}"])
    config = make_config("BPR", valid_metric="NDCG@10")
    assert config["metrics"] == ["NDCG", "Recall"]
    assert config["threshold"] == {"rating": 3}
