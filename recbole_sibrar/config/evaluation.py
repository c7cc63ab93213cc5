"""The keys that split, rank and measure, for every model: ours and RecBole's.

Their defaults stand in ``properties/overall.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from recbole_sibrar.config.values import (
    ConfigLike,
    choice_value,
    nearest,
    optional_name_value,
    probability_value,
    refuse,
    size_value,
)

COLD_START = "CS"
"""Name of the cold-start split in ``eval_args: split``, beside RecBole's RS, LS and TS."""

USER_FORMATS = (".parquet", ".csv", ".jsonl")
"""Suffixes of files with the results of users."""

VALUE_METRICS = ("auc", "logloss", "mae", "rmse")
"""RecBole's metrics of single predictions, which have no cut-off."""

GROUPINGS = ("item", "user", "both")
"""What ``eval_args: group_by`` can be with that split: which entities are cold."""

POPULARITY = "popularity"
"""The group of items that is no field: head and tail by training interactions."""


@dataclass(frozen=True)
class ColdStart:
    """A cold-start split ([A] section 4.2): entities, not interactions, are divided into parts."""

    ratios: tuple[float, float, float]
    """Shares of the entities in training, validation and test; they sum to 1."""
    group_by: Literal["item", "user", "both"]
    """Which entities are divided; with ``both`` a pair counts where user and item fall into the same part."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, among which candidates, and what is reported beside the metrics."""

    cold_start: ColdStart | None
    """The cold-start split; None for one of RecBole's splits."""
    candidates: Literal["split", "all"]
    """Which items are ranked: those with an interaction in the evaluated part, or all."""
    train_neg_candidates: Literal["train", "all"] | None
    """Items that the negatives of training are drawn from: those of training, or all; None to let the split decide."""
    groups: tuple[tuple[str, Literal["user", "item"]], ...]
    """Fields whose values, or :data:`POPULARITY` whose halves, get results of their own, each with its side."""
    save_per_user: Path | None
    """File for the results of each test user, in one of :data:`USER_FORMATS`."""
    save_learning_curve: Path | None
    """CSV file for the training loss and the validation results of each epoch."""
    gap_every: int | None
    """Epochs of training from one measurement of the modality gap to the next; None for no measurement."""
    save_gap: Path | None
    """CSV file for those measurements; None for one beside the checkpoint."""
    save_split: Path | None
    """Folder for the parts of the split as atomic files."""
    tensorboard: Literal["none", "scalars", "embeddings"]
    """What training adds to RecBole's TensorBoard files: nothing, scalars of each epoch, or the embeddings as well."""


def cold_start_config(config: ConfigLike) -> ColdStart | None:
    """Read the cold-start split of ``eval_args``.

    Returns:
        The split, or None where ``eval_args`` asks for one of RecBole's.

    Raises:
        ConfigError: Ratios, grouping or order are not those of a cold-start split.
    """
    arguments = config["eval_args"]
    split = arguments.get("split") if isinstance(arguments, dict) else None
    if not isinstance(split, dict) or COLD_START not in split:
        return None
    if len(split) > 1:
        refuse("eval_args: split", split, f"one way to split, such as {{'{COLD_START}': [0.8, 0.1, 0.1]}}")
    ratios = split[COLD_START]
    allowed = "three shares above 0 for training, validation and test that sum to 1, such as [0.8, 0.1, 0.1]"
    if not isinstance(ratios, (list, tuple)) or len(ratios) != 3 or not all(_is_number(ratio) for ratio in ratios):
        refuse(f"eval_args: split: {COLD_START}", ratios, allowed)
    if not (min(ratios) > 0 and abs(sum(ratios) - 1) < 1e-6):
        refuse(f"eval_args: split: {COLD_START}", ratios, f"{allowed} (these sum to {sum(ratios):g})")
    group_by = arguments.get("group_by")
    if group_by not in GROUPINGS:
        hint = nearest(str(group_by), GROUPINGS)
        refuse("eval_args: group_by", group_by, f"one of {', '.join(GROUPINGS)} with the split {COLD_START}{hint}")
    if arguments.get("order", "RO") != "RO":
        refuse(
            "eval_args: order", arguments["order"], f"RO with the split {COLD_START}, which divides entities at random"
        )
    return ColdStart((float(ratios[0]), float(ratios[1]), float(ratios[2])), group_by)


def check_valid_metric(config: ConfigLike) -> None:
    """Check that the validation measures what the best epoch is chosen by.

    Raises:
        ConfigError: It does not.
    """
    allowed = _measured(config)
    name = str(config["valid_metric"])
    if name.lower() in {measured.lower() for measured in allowed}:
        return

    metric, at, _ = name.partition("@")
    if at and metric.lower() in {measured.partition("@")[0].lower() for measured in allowed}:
        refuse("valid_metric", config["valid_metric"], f"a cut-off of topk, which is {config['topk']}")
    refuse("valid_metric", config["valid_metric"], f"one of metrics: {', '.join(allowed)}")


def has_validation(config: ConfigLike) -> bool:
    """Tell whether training is validated: there is a validation part, and epochs after which it is evaluated."""
    split = config["eval_args"]["split"]
    shares = split.get("RS") or split.get("TS") or (1, 1, 1) if isinstance(split, Mapping) else (1, 1, 1)
    left_out = isinstance(split, Mapping) and split.get("LS") == "test_only"
    has_part = config["benchmark_filename"] is not None or not (left_out or shares[1] == 0)
    return has_part and min(config["eval_step"], config["epochs"]) > 0


def following_valid_metric(config: ConfigLike, sources: Sequence[Mapping[str, Any]]) -> str | None:
    """Choose a validation metric where the one configured is not measured and the user has not asked for it.

    It is asked for where it stands in the same source of keys as ``metrics`` and ``topk``, or in one that overrides
    theirs.

    Args:
        config: RecBole's ``Config``.
        sources: The user's keys by source, such as command line and files; the first overrides the others.

    Returns:
        The metric, with as much of the configured one as is measured; None where nothing has to be chosen.
    """
    own = _source("valid_metric", sources)
    if min(_source("metrics", sources), _source("topk", sources)) >= own:
        return None

    allowed = _measured(config)
    metric, _, k = str(config["valid_metric"]).lower().partition("@")
    if str(config["valid_metric"]).lower() in map(str.lower, allowed):
        return None

    same_metric = [name for name in allowed if name.lower().partition("@")[0] == metric]
    same_cutoff = [name for name in allowed if name.partition("@")[2] == k]
    return (same_metric or same_cutoff or allowed)[0]


def _source(key: str, sources: Sequence[Mapping[str, Any]]) -> int:
    """Position of the source that a key comes from; the number of sources for a default."""
    return next((i for i, source in enumerate(sources) if key in source), len(sources))


def _measured(config: ConfigLike) -> list[str]:
    """Every metric that an evaluation measures, with its cut-off where it has one."""
    metrics = [config["metrics"]] if isinstance(config["metrics"], str) else config["metrics"]
    cutoffs = config["topk"] if isinstance(config["topk"], (list, tuple)) else [config["topk"]]
    names: list[str] = []
    for metric in metrics:
        is_value = metric.lower() in VALUE_METRICS
        names += [metric] if is_value else [f"{metric}@{k}" for k in cutoffs]
    return names


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def evaluation_config(config: ConfigLike) -> EvaluationConfig:
    """Read everything about evaluation.

    Raises:
        ConfigError: A value is not allowed.
    """
    cold_start = cold_start_config(config)
    candidates = config["eval_candidates"] or ("split" if cold_start else "all")
    negatives = config["train_neg_candidates"]
    if negatives is not None:
        negatives = choice_value("train", "all")("train_neg_candidates", negatives)
    return EvaluationConfig(
        cold_start=cold_start,
        candidates=choice_value("split", "all")("eval_candidates", candidates),  # type: ignore[arg-type]
        train_neg_candidates=negatives,
        groups=_groups(config["eval_groups"]),
        save_per_user=_path("save_per_user", config["save_per_user"], USER_FORMATS),
        save_learning_curve=_path("save_learning_curve", config["save_learning_curve"], (".csv",)),
        gap_every=None if config["gap_every"] is None else size_value("gap_every", config["gap_every"]),
        save_gap=_path("save_gap", config["save_gap"], (".csv",)),
        save_split=_path("save_split", config["save_split"]),
        tensorboard=choice_value("none", "scalars", "embeddings")("tensorboard", config["tensorboard"]),  # type: ignore[arg-type]
    )


def _groups(value: Any) -> tuple[tuple[str, Literal["user", "item"]], ...]:
    allowed = f"fields with their side, such as {{gender: user, {POPULARITY}: item}}"
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            refuse("eval_groups", value, allowed)
    if value is None:
        return ()
    if not isinstance(value, dict) or not all(side in ("user", "item") for side in value.values()):
        refuse("eval_groups", value, allowed)
    if value.get(POPULARITY) == "user":
        refuse("eval_groups", value, f"{POPULARITY}: item; users have no popularity")
    return tuple((str(field), side) for field, side in value.items())


def _path(key: str, value: Any, suffixes: Sequence[str] = ()) -> Path | None:
    """The path of a folder, or of a file with one of some suffixes."""
    if value is None:
        return None
    if not isinstance(value, str) or not value or (suffixes and Path(value).suffix not in suffixes):
        kinds = f"a file that ends in {', '.join(suffixes)}" if suffixes else "a folder"
        refuse(key, value, f"the path of {kinds}")
    return Path(value)


def long_tail_ratio(config: ConfigLike) -> float:
    """The share of the items, the least popular ones, that are the long tail.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    ratio = probability_value("long_tail_ratio", config["long_tail_ratio"])
    return ratio if ratio > 0 else refuse("long_tail_ratio", ratio, "a number above 0 and below 1")


def named_field(config: ConfigLike, key: str, metric: str) -> str:
    """The item field that a metric looks at.

    Args:
        config: RecBole's ``Config``.
        key: The key that names the field.
        metric: Name of the metric, for the message.

    Raises:
        ConfigError: The key is not set.
    """
    name = optional_name_value(key, config[key])
    return name if name is not None else refuse(key, None, f"the name of an item field, which {metric} needs")


def calibration_alpha(config: ConfigLike) -> float:
    """The share of the profile that UserCalibration mixes into the distribution of a list.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    alpha = probability_value("calibration_alpha", config["calibration_alpha"])
    return alpha if alpha > 0 else refuse("calibration_alpha", alpha, "a number above 0 and below 1")
