"""Check of the values of RecBole's own keys, before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recbole_sibrar.config.evaluation import COLD_START
from recbole_sibrar.config.keys import RECBOLE_READERS
from recbole_sibrar.config.recbole_checks import are_shares, check_number
from recbole_sibrar.errors import listed, nearest, refuse
from recbole_sibrar.names import WARM
from recbole_sibrar.protocols import ConfigLike

_SPLITS = ("RS", "LS", "TS", COLD_START)
_LEAVE_OUT = ("valid_and_test", "valid_only", "test_only")
_ORDERS = ("RO", "TO")
_MODE = re.compile(r"full|labeled|(uni|pop)\d+")


def check_dataset_name(value: object) -> None:
    """Check the name of a data set, which RecBole makes paths of.

    Raises:
        ConfigError: It is no name, such as a path.
    """
    if not isinstance(value, str) or not value.strip():
        refuse("dataset", value, "the name of a data set")

    # Windows divides paths by either character
    parent, _, name = value.replace("\\", "/").rstrip("/").rpartition("/")
    if name != value:
        allowed = f"a name; write data_path={parent or '/'} and dataset={name or 'NAME'}"
        refuse("dataset", value, allowed)


def check_values(config: ConfigLike, given: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Check the values of RecBole's own keys.

    Args:
        config: RecBole's ``Config``.
        given: The keys of the user and their values.
        metrics: Metrics by name in small letters.

    Raises:
        ConfigError: RecBole would fail with a value.
    """
    for key, check in RECBOLE_READERS.items():
        if key in given:
            check(key, given[key])

    if "metrics" in given:
        _check_metrics(given["metrics"], metrics)
    if "train_neg_sample_args" in given:
        _check_negative_sampling(given["train_neg_sample_args"])
    if "eval_args" in given:
        _check_evaluation(given["eval_args"], divided=config["benchmark_filename"] is not None)


def _check_metrics(value: object, known: Mapping[str, Any]) -> None:
    key = "metrics"
    names = [value] if isinstance(value, str) else value
    example = "a list of metrics such as [Recall, NDCG]"
    if not isinstance(names, (list, tuple)) or not names:
        refuse(key, value, example)
    if not all(isinstance(name, str) for name in names):
        refuse(key, value, example)

    # RecBole's table has the names in small letters, a hint those of the classes
    classes = [getattr(metric, "__name__", lower) for lower, metric in known.items()]
    for name in names:
        if name.lower() not in known:
            unknown = f"There is no metric named '{name}'{nearest(name, classes)}"
            refuse(key, value, f"a list of metrics of which each is known; {unknown}")


def _check_negative_sampling(value: object) -> None:
    key = "train_neg_sample_args"
    if not isinstance(value, Mapping):
        return

    number = value.get("sample_num", 1)
    is_size = isinstance(number, int) and not isinstance(number, bool) and number >= 1
    if number not in (None, "none") and not is_size:
        refuse(f"{key}: sample_num", number, "a positive integer")

    alpha = value.get("alpha", 1.0)
    if alpha not in (None, "none"):
        check_number(f"{key}: alpha", alpha)


def _check_evaluation(value: object, divided: bool) -> None:
    """Check ``eval_args``, of which files that are divided already need the mode only."""
    key = "eval_args"
    if not isinstance(value, Mapping):
        example = "{split: {RS: [0.8, 0.1, 0.1]}, order: RO, group_by: user, mode: full}"
        refuse(key, value, f"a dictionary such as {example}")

    # one mode, or one for each of validation and test
    modes = value.get("mode", "full")
    for mode in modes.values() if isinstance(modes, Mapping) else [modes]:
        if not isinstance(mode, str) or not _MODE.fullmatch(mode):
            allowed = "full, labeled, or a number of candidates such as uni100 or pop100"
            refuse(f"{key}: mode", mode, allowed)

    # the keys below have no effect on parts that are files
    if divided:
        return

    order = value.get("order", "RO")
    if order not in _ORDERS:
        hint = nearest(str(order), _ORDERS)
        refuse(f"{key}: order", order, f"one of {', '.join(_ORDERS)}{hint}")
    if "split" in value:
        _split(f"{key}: split", value["split"])


def _split(key: str, value: object) -> None:
    # read as a whole by cold_start_config
    if isinstance(value, Mapping) and {COLD_START, WARM} & set(value):
        return
    if not isinstance(value, Mapping) or len(value) != 1:
        refuse(key, value, "one way to split, such as {RS: [0.8, 0.1, 0.1]}")
    (way, shares), *_ = value.items()
    if way not in _SPLITS:
        refuse(key, way, f"one of {listed(_SPLITS, str(way))}")
    if way == "LS" and shares not in _LEAVE_OUT:
        hint = nearest(str(shares), _LEAVE_OUT)
        refuse(f"{key}: LS", shares, f"one of {', '.join(_LEAVE_OUT)}{hint}")
    if way in ("RS", "TS") and not are_shares(shares):
        allowed = "three shares of training, validation and test, such as [0.8, 0.1, 0.1]"
        refuse(f"{key}: {way}", shares, allowed)
