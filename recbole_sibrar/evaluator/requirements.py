"""Checks of the data before training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger

from recbole.utils import EvaluatorType, InputType, ModelType

from recbole_sibrar.config import ConfigError, has_views, refuse
from recbole_sibrar.names import WARM
from recbole_sibrar.protocols import ConfigLike, DatasetLike, LoaderLike

__all__ = [
    "check_cutoffs",
    "check_evaluation",
    "check_items",
    "check_mode",
    "check_training",
    "note_short_lists",
]

_LEARNS_FROM_LABELS = (ModelType.CONTEXT, ModelType.DECISIONTREE)
"""Types of models in need of labels if no negatives are drawn."""


def check_cutoffs(topk: Sequence[int], n_items: int) -> None:
    """Check that there are enough items for lists of the lengths of ``topk``.

    Args:
        topk: RecBole's key of that name.
        n_items: Number of items, without RecBole's padding item.

    Raises:
        ConfigError: A cut-off is above the number of items.

    Example:
        >>> check_cutoffs([5, 20], 10)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        recbole_sibrar.errors.ConfigError: topk: found [5, 20], allowed is a cut-off of at most ...
    """
    if max(topk) > n_items:
        allowed = f"a cut-off of at most {n_items}, the number of items in the data"
        refuse("topk", list(topk), allowed)


def check_mode(config: ConfigLike) -> None:
    """Check that the mode of the evaluation fits the metrics.

    Raises:
        ConfigError: Labels are to be evaluated by metrics of rankings, or a sample of the
            candidates in several views.
    """
    # RecBole has one mode for validation and one for the test.
    modes = config["eval_args"]["mode"]
    sampled = [mode for mode in modes.values() if mode != "full"]
    if sampled and has_views(config):
        allowed = f"full with {WARM} in split: each view ranks all of its candidates"
        refuse("eval_args: mode", sampled[0], allowed)

    if config["eval_type"] is EvaluatorType.RANKING and "labeled" in modes.values():
        candidates = "full, or a number of candidates such as uni100"
        metrics = f"the metrics {config['metrics']}, which are metrics of rankings"
        refuse("eval_args: mode", "labeled", f"{candidates}, with {metrics}")


def check_items(config: ConfigLike, dataset: DatasetLike) -> None:
    """Check that there are enough items.

    Args:
        config: RecBole's ``Config``.
        dataset: RecBole's ``Dataset``.

    Raises:
        ConfigError: There are fewer than a cut-off of ``topk``.
    """
    if config["eval_type"] is EvaluatorType.RANKING:
        # Without RecBole's padding item.
        check_cutoffs(config["topk"], dataset.item_num - 1)


def check_training(
    config: ConfigLike, train_data: LoaderLike, valid_data: LoaderLike | None
) -> None:
    """Check that training and validation have the labels they need.

    Args:
        config: RecBole's ``Config``.
        train_data: RecBole's training loader.
        valid_data: RecBole's loader of the validation; None without a validation.

    Raises:
        ConfigError: Labels are missing.
    """
    # RecBole trains such models on the labels themselves unless negatives are drawn.
    learns = (
        config["MODEL_TYPE"] in _LEARNS_FROM_LABELS
        and config["MODEL_INPUT_TYPE"] is InputType.POINTWISE
    )
    if learns and config["train_neg_sample_args"]["distribution"] == "none":
        reason = f"{config['model']} learns from labels"
        alternative = "or train_neg_sample_args, which draws negatives"
        _check_labels(config, train_data, reason, alternative)
    if valid_data:
        check_evaluation(config, valid_data)


def check_evaluation(config: ConfigLike, eval_data: LoaderLike) -> None:
    """Check that metrics of labels have labels.

    Args:
        config: RecBole's ``Config``.
        eval_data: RecBole's loader of the evaluated part.

    Raises:
        ConfigError: Labels are missing.
    """
    # RecBole's loaders of full rankings have no such attribute.
    arguments = getattr(eval_data, "neg_sample_args", None)
    draws_none = arguments and arguments["distribution"] == "none"
    if config["eval_type"] is EvaluatorType.VALUE and draws_none:
        reason = f"{', '.join(config['metrics'])} compare scores with labels"
        alternative = "or eval_args: mode, such as uni100, which draws negatives"
        _check_labels(config, eval_data, reason, alternative)


def _check_labels(config: ConfigLike, loader: LoaderLike, reason: str, alternative: str) -> None:
    label = config["LABEL_FIELD"]
    if label not in loader.dataset.inter_feat.columns:
        raise ConfigError(
            f"threshold: found None, but {reason}, and the interactions have no field '{label}'; "
            f"set threshold, such as {{'rating': 3}}, which makes labels, {alternative}"
        )


def note_short_lists(topk: Sequence[int], phase: str, n_candidates: int) -> None:
    """Warn that the candidates of a part do not fill the longest list.

    Args:
        topk: RecBole's key of that name.
        phase: ``valid`` or ``test``.
        n_candidates: Number of ranked items.
    """
    if 0 < n_candidates < max(topk):
        getLogger().warning(
            f"topk: the {phase} part has {n_candidates} candidates, fewer than {max(topk)}: the "
            "places that are left stay empty, and count as misses in Precision and as nothing in "
            "metrics of the recommended items"
        )
