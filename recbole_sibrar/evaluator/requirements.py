"""Checks before training that the evaluation can be done with the data."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from typing import Any

from recbole.utils import EvaluatorType, InputType, ModelType

from recbole_sibrar.config import ConfigError, refuse

_LEARNS_FROM_LABELS = (ModelType.CONTEXT, ModelType.DECISIONTREE)
"""Types of models that need labels where no negatives are drawn."""


def check_cutoffs(topk: Sequence[int], n_items: int) -> None:
    """Check that every list can be as long as ``topk`` asks for.

    Args:
        topk: RecBole's key of that name.
        n_items: Number of items, without RecBole's padding item.

    Raises:
        ConfigError: A cut-off is above the number of items.
    """
    if max(topk) > n_items:
        refuse("topk", list(topk), f"a cut-off of at most {n_items}, the number of items in the data")


def check_mode(config: Any) -> None:
    """Check that the way of evaluating fits the metrics.

    Raises:
        ConfigError: Labels are to be evaluated by metrics of rankings.
    """
    modes = config["eval_args"]["mode"]
    if config["eval_type"] is EvaluatorType.RANKING and "labeled" in modes.values():
        allowed = "full, or a number of candidates such as uni100, with the metrics"
        refuse("eval_args: mode", "labeled", f"{allowed} {config['metrics']}, which are metrics of rankings")


def check_data(config: Any, dataset: Any) -> None:
    """Check that the data have what the metrics, and the training of the model, need.

    Args:
        config: RecBole's ``Config``.
        dataset: RecBole's ``Dataset``, before it is split.

    Raises:
        ConfigError: There are fewer items than a cut-off of ``topk``, or there are no labels.
    """
    if config["eval_type"] is EvaluatorType.RANKING:
        check_cutoffs(config["topk"], dataset.item_num - 1)
    if dataset.label_field not in dataset.inter_feat.columns:
        _check_without_labels(config, dataset.label_field)


def _check_without_labels(config: Any, label: str) -> None:
    """Check that nothing needs the labels that the interactions do not have.

    Raises:
        ConfigError: The model learns from labels, or the metrics compare scores with them.
    """
    absent = f"the interactions have no field '{label}'; set threshold, such as {{'rating': 3}}, which makes labels"

    draws_none = config["train_neg_sample_args"]["distribution"] == "none"
    if draws_none and config["MODEL_TYPE"] in _LEARNS_FROM_LABELS and config["MODEL_INPUT_TYPE"] is InputType.POINTWISE:
        alternative = "or train_neg_sample_args, which draws negatives"
        raise ConfigError(
            f"threshold: found None, but {config['model']} learns from labels, and {absent}, {alternative}"
        )

    if config["eval_type"] is EvaluatorType.VALUE and "labeled" in config["eval_args"]["mode"].values():
        alternative = "or eval_args: mode, such as uni100, which draws negatives"
        raise ConfigError(
            f"threshold: found None, but {', '.join(config['metrics'])} compare scores with labels, and {absent}, "
            f"{alternative}"
        )


def note_short_lists(topk: Sequence[int], phase: str, n_candidates: int) -> None:
    """Say that the candidates of a part do not fill the longest list.

    Args:
        topk: RecBole's key of that name.
        phase: ``valid`` or ``test``.
        n_candidates: Number of items that are ranked.
    """
    if 0 < n_candidates < max(topk):
        getLogger().warning(
            f"topk: the {phase} part has {n_candidates} candidates, fewer than {max(topk)}: the places that are left "
            "stay empty, and count as misses in Precision and as nothing in metrics of the recommended items"
        )
