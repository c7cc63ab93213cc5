"""Values of RecBole's own keys, checked before anything is read.

RecBole takes most values as they come and fails where it first computes with them, often after the data were read.
Only values are refused here with which RecBole fails; what it can work with, in whatever type, is left as it is.
"""

from __future__ import annotations

import codecs
import math
import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from recbole_sibrar.config.evaluation import COLD_START
from recbole_sibrar.config.text import INTERVALS
from recbole_sibrar.config.values import ConfigLike, nearest, number_value, refuse

Check = Callable[[str, Any], object]
"""Refuses a wrong value of a key."""

_SPLITS = ("RS", "LS", "TS", COLD_START)
_LEAVE_OUT = ("valid_and_test", "valid_only", "test_only")
_ORDERS = ("RO", "TO")
_MODE = re.compile(r"full|labeled|(uni|pop)\d+")
_INTERVAL = re.compile(r"\s*[\[(]\s*[-+.\w]+\s*,\s*[-+.\w]+\s*[\])]\s*")


def _whole(least: float, allowed: str, like: bool = False) -> Check:
    """A whole number from ``least`` on; with ``like``, a float without a fraction as well."""

    def check(key: str, value: Any) -> None:
        whole = isinstance(value, int) or (like and isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or value < least:
            refuse(key, value, allowed)

    return check


def _seed(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        refuse(key, value, "a whole number from 0 to 4294967295, as NumPy's generators take it")


def _number(key: str, value: Any) -> None:
    number_value(key, value, "a number of at least 0", lambda number: 0 <= number < math.inf)


def _text(key: str, value: Any) -> None:
    if not isinstance(value, str):
        refuse(key, value, "a text")


def _separator(key: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        refuse(key, value, "a text of at least one character")


def _optional(check: Check) -> Check:
    return lambda key, value: None if value is None else check(key, value)


def _unless_empty(check: Check) -> Check:
    return lambda key, value: check(key, value) if value else None


def _dictionary(key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        refuse(key, value, "a dictionary")


def _names(key: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        refuse(key, value, "a list of names")


def _columns(key: str, value: Any) -> None:
    """``load_col`` and its like: names of columns by suffix."""
    _dictionary(key, value)
    for suffix, names in value.items():
        if names != "*" and not isinstance(names, (list, tuple, set)):
            refuse(f"{key}: {suffix}", names, f"a list of fields such as [{names}]")


def _cutoffs(key: str, value: Any) -> None:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(k, int) and not isinstance(k, bool) and k > 0 for k in numbers):
        refuse(key, value, "a positive integer such as 10, or a list of them such as [5, 10]")


def _encoding(key: str, value: Any) -> None:
    try:
        codecs.lookup(value)
    except (LookupError, TypeError, ValueError):
        refuse(key, value, "the name of an encoding such as utf-8 or latin-1")


def _interval(key: str, value: Any) -> None:
    parts = str(value).split(";")
    if not all(_INTERVAL.fullmatch(part) and _are_numbers(part) for part in parts):
        refuse(key, value, "an interval such as '[5,inf)', or several separated by semicolons")


def _are_numbers(interval: str) -> bool:
    try:
        left, right = map(float, interval.strip()[1:-1].split(","))
    except ValueError:
        return False
    return left <= right


def _weights_and_biases(key: str, value: Any) -> None:
    if value and "wandb" not in sys.modules and find_spec("wandb") is None:
        refuse(key, value, "False where the package wandb is not installed: pip install wandb")


def check_dataset_name(value: Any) -> None:
    """Check the name of a data set, which RecBole makes paths of.

    Raises:
        ConfigError: It is no name, such as a path.
    """
    if not isinstance(value, str) or not value.strip():
        refuse("dataset", value, "the name of a data set")
    parent, _, name = value.replace("\\", "/").rstrip("/").rpartition("/")
    if name != value:
        refuse("dataset", value, f"a name; write data_path={parent or '/'} and dataset={name or 'NAME'}")


_SIZE = _whole(1, "a positive integer")
_COUNT = _whole(0, "a whole number of at least 0")

CHECKS: dict[str, Check] = {
    "epochs": _COUNT,
    "train_batch_size": _SIZE,
    "eval_batch_size": _SIZE,
    "eval_step": _whole(-math.inf, "a whole number of epochs", like=True),
    "stopping_step": _whole(0, "a whole number of validations", like=True),
    "learning_rate": _number,
    "weight_decay": _number,
    "clip_grad_norm": _unless_empty(_dictionary),
    "learner": _text,
    "seed": _seed,
    "metric_decimal_place": _optional(_COUNT),
    "loss_decimal_place": _optional(_COUNT),
    "topk": _cutoffs,
    "valid_metric": _text,
    "state": _optional(_text),
    "encoding": _optional(_encoding),
    "field_separator": _separator,
    "seq_separator": _separator,
    "data_path": _optional(_text),
    "checkpoint_dir": _text,
    "log_wandb": _weights_and_biases,
    "load_col": _optional(_columns),
    "unload_col": _optional(_columns),
    "unused_col": _optional(_columns),
    "seq_len": _unless_empty(_dictionary),
    "threshold": _optional(_dictionary),
    "val_interval": _optional(_dictionary),
    "preload_weight": _optional(_dictionary),
    "discretization": _unless_empty(_dictionary),
    "numerical_features": _names,
    "normalize_field": _unless_empty(_names),
    **dict.fromkeys(INTERVALS, _optional(_interval)),
}
"""Key -> the check of its value; RecBole's own keys, with its own defaults."""


def check_values(config: ConfigLike, given: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Check the values of RecBole's own keys.

    Args:
        config: RecBole's ``Config``.
        given: The keys of the user and their values.
        metrics: Metrics by name in small letters.

    Raises:
        ConfigError: RecBole would fail with a value.
    """
    for key, check in CHECKS.items():
        if key in given:
            check(key, given[key])

    if "metrics" in given:
        _check_metrics(given["metrics"], metrics)
    if "train_neg_sample_args" in given:
        _check_negative_sampling(given["train_neg_sample_args"])
    if "eval_args" in given:
        _check_evaluation(given["eval_args"], divided=config["benchmark_filename"] is not None)


def _check_metrics(value: Any, known: Mapping[str, Any]) -> None:
    key = "metrics"
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        refuse(key, value, "a list of metrics such as [Recall, NDCG]")
    for name in names:
        if name.lower() not in known:
            hint = nearest(name, (getattr(metric, "__name__", lower) for lower, metric in known.items()))
            refuse(key, value, f"a list of metrics of which each is known; There is no metric named '{name}'{hint}")


def _check_negative_sampling(value: Any) -> None:
    key = "train_neg_sample_args"
    if not isinstance(value, Mapping):
        return
    number = value.get("sample_num", 1)
    if number not in (None, "none") and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        refuse(f"{key}: sample_num", number, "a positive integer")
    alpha = value.get("alpha", 1.0)
    if alpha not in (None, "none"):
        _number(f"{key}: alpha", alpha)


def _check_evaluation(value: Any, divided: bool) -> None:
    """Check ``eval_args``, of which files that are divided already need the mode only."""
    key = "eval_args"
    if not isinstance(value, Mapping):
        refuse(key, value, "a dictionary such as {split: {RS: [0.8, 0.1, 0.1]}, order: RO, group_by: user, mode: full}")

    modes = value.get("mode", "full")
    for mode in modes.values() if isinstance(modes, Mapping) else [modes]:
        if not isinstance(mode, str) or not _MODE.fullmatch(mode):
            refuse(f"{key}: mode", mode, "full, labeled, or a number of candidates such as uni100 or pop100")

    if divided:
        return

    order = value.get("order", "RO")
    if order not in _ORDERS:
        refuse(f"{key}: order", order, f"one of {', '.join(_ORDERS)}{nearest(str(order), _ORDERS)}")
    if "split" in value:
        _split(f"{key}: split", value["split"])


def _split(key: str, value: Any) -> None:
    if not isinstance(value, Mapping) or len(value) != 1:
        refuse(key, value, "one way to split, such as {RS: [0.8, 0.1, 0.1]}")
    (way, shares), *_ = value.items()
    if way not in _SPLITS:
        refuse(key, way, f"one of {', '.join(_SPLITS)}{nearest(str(way), _SPLITS)}")
    if way == "LS" and shares not in _LEAVE_OUT:
        refuse(f"{key}: LS", shares, f"one of {', '.join(_LEAVE_OUT)}{nearest(str(shares), _LEAVE_OUT)}")
    if way in ("RS", "TS") and not _are_shares(shares):
        refuse(f"{key}: {way}", shares, "three shares of training, validation and test, such as [0.8, 0.1, 0.1]")


def _are_shares(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    numbers = all(isinstance(share, (int, float)) and not isinstance(share, bool) for share in value)
    return numbers and min(value) >= 0 and value[0] > 0
