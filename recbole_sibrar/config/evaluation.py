"""Keys of splits, rankings and measurements, for every model: ours and RecBole's.

Their defaults stand in ``properties/overall.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recbole_sibrar.config.groups import GroupRequest
from recbole_sibrar.config.keys import read_key
from recbole_sibrar.config.values import is_number
from recbole_sibrar.errors import nearest, refuse
from recbole_sibrar.names import VIEWS, WARM, metric_in_view, without_view
from recbole_sibrar.protocols import ConfigLike

COLD_START = "CS"
"""Name of the cold-start split in ``eval_args: split``, beside RecBole's RS, LS and TS."""

VALUE_METRICS = ("auc", "logloss", "mae", "rmse")
"""RecBole's metrics of single predictions, without a cut-off."""

GROUPINGS = ("item", "user", "both")
"""Values of ``eval_args: group_by`` with that split: the cold entities."""


@dataclass(frozen=True)
class ColdStart:
    """Cold-start split ([A] section 4.2): entities, not interactions, are divided into parts."""

    ratios: tuple[float, float, float]
    """Shares of the entities in training, validation and test; they sum to 1."""
    group_by: Literal["item", "user", "both"]
    """The divided entities; with ``both`` a pair counts if user and item fall into the same
    part."""
    order: Literal["RO", "TO"] = "RO"
    """Order of the entities before they are divided: at random, or by the time of their first
    interaction."""
    warm: tuple[float, float, float] | None = None
    """Shares of each known user's interactions in training, validation and test; None to hold out
    none of them."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Split and candidates of the evaluation, and reports beside the metrics."""

    cold_start: ColdStart | None
    """The cold-start split; None for one of RecBole's splits."""
    candidates: Literal["split", "all"]
    """The ranked items: those with an interaction in the evaluated part, or all."""
    train_neg_candidates: Literal["train", "all"] | None
    """Items to draw training negatives from: those of training, or all; None lets the split
    decide."""
    groups: tuple[GroupRequest, ...]
    """Divisions of users and items into groups with results of their own."""
    save_per_user: Path | None
    """File for the results of each test user, in one of
    :data:`~recbole_sibrar.config.USER_FORMATS`."""
    save_learning_curve: Path | None
    """CSV file for the training loss and the validation results of each epoch."""
    gap_every: int | None
    """Epochs of training from one measurement of the modality gap to the next; None for no
    measurement."""
    save_gap: Path | None
    """CSV file for the measurements of the gap; None for one beside the checkpoint."""
    save_split: Path | None
    """Folder for the parts of the split as atomic files."""
    tensorboard: Literal["none", "scalars", "embeddings"]
    """Additions to RecBole's TensorBoard files: none, scalars of each epoch, or the embeddings as
    well."""


def cold_start_config(config: ConfigLike) -> ColdStart | None:
    """Read the cold-start split of ``eval_args``.

    Returns:
        The split, or None where ``eval_args`` asks for one of RecBole's.

    Raises:
        ConfigError: Ratios or grouping are not those of a cold-start split, or ``warm`` stands
            without it.
    """
    arguments = config["eval_args"]
    split = arguments.get("split") if isinstance(arguments, dict) else None
    if not isinstance(split, dict) or not {COLD_START, WARM} & set(split):
        return None
    if COLD_START not in split or not {COLD_START, WARM} >= set(split):
        shares = "[0.8, 0.1, 0.1]"
        both = f"{{{COLD_START}: {shares}, {WARM}: {shares}}}"
        allowed = f"one way to split, such as {{{COLD_START}: {shares}}}, or {both}"
        refuse("eval_args: split", split, allowed)

    ratios = _shares(COLD_START, split[COLD_START])
    warm = _shares(WARM, split[WARM]) if WARM in split else None
    group_by = arguments.get("group_by")
    if group_by not in GROUPINGS:
        hint = nearest(str(group_by), GROUPINGS)
        allowed = f"one of {', '.join(GROUPINGS)} with the split {COLD_START}{hint}"
        refuse("eval_args: group_by", group_by, allowed)

    return ColdStart(ratios, group_by, arguments.get("order") or "RO", warm)


def _shares(name: str, value: object) -> tuple[float, float, float]:
    """Read three shares above 0 that sum to 1."""
    key = f"eval_args: split: {name}"
    allowed = (
        "three shares above 0 for training, validation and test that sum to 1, such as "
        "[0.8, 0.1, 0.1]"
    )
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        refuse(key, value, allowed)
    if not all(map(is_number, value)):
        refuse(key, value, allowed)
    # "not" around both: NaN compares false
    if not (min(value) > 0 and abs(sum(value) - 1) < 1e-6):
        refuse(key, value, f"{allowed} (these sum to {sum(value):g})")

    train, valid, test = map(float, value)
    return train, valid, test


def check_valid_metric(config: ConfigLike) -> None:
    """Check that the validation measures ``valid_metric``, which chooses the best epoch.

    Raises:
        ConfigError: It does not.
    """
    allowed = _measured(config)
    name, view = without_view(str(config["valid_metric"]).lower())
    key = "valid_metric"
    listed = f"one of metrics: {', '.join(allowed)}"
    if view and not has_views(config):
        needed = f"[{view}] needs {WARM} beside {COLD_START} in eval_args: split"
        refuse(key, config[key], f"{listed}; {needed}")

    # RecBole ignores the case of metrics
    measured = {one.lower() for one in allowed}
    if name in measured:
        return

    # a measured metric with another cut-off
    metric, at, _ = name.partition("@")
    measured_metrics = {one.partition("@")[0] for one in measured}
    if at and "[" not in name and metric in measured_metrics:
        refuse(key, config[key], f"a cut-off of topk, which is {config['topk']}")

    also = f", each also with [{'] or ['.join(VIEWS)}]" if has_views(config) else ""
    refuse(key, config[key], f"{listed}{also}")


def has_views(config: ConfigLike) -> bool:
    """Tell a mixed evaluation, with results of cold and of warm interactions as well."""
    cold_start = cold_start_config(config)
    return cold_start is not None and cold_start.warm is not None


def has_validation(config: ConfigLike) -> bool:
    """Tell training with validation: a validation part, and epochs with an evaluation."""
    if min(config["eval_step"], config["epochs"]) <= 0:
        return False
    if config["benchmark_filename"] is not None:
        return True

    # only these of RecBole's splits can have no validation part
    split = config["eval_args"]["split"]
    if not isinstance(split, Mapping):
        return True
    shares = split.get("RS") or split.get("TS") or (1, 1, 1)
    return bool(shares[1] != 0 and split.get("LS") != "test_only")


def following_valid_metric(config: ConfigLike, sources: Sequence[Mapping[str, Any]]) -> str | None:
    """Choose a validation metric in the place of a default that is not measured.

    The user has asked for it in the same source of keys as ``metrics`` and ``topk``, or in one that
    overrides theirs.

    Args:
        config: RecBole's ``Config``.
        sources: The user's keys by source, such as command line and files; the first overrides the
            others.

    Returns:
        The measured metric nearest to the configured one; None where nothing has to be chosen.
    """
    # a lower position overrides a higher one; that of a default is the highest
    own = _source("valid_metric", sources)
    if min(_source("metrics", sources), _source("topk", sources)) >= own:
        return None

    allowed = _measured(config)
    given, view = without_view(str(config["valid_metric"]).lower())
    metric, _, k = given.partition("@")
    if given in map(str.lower, allowed):
        return None

    # the metric means more than its cut-off
    same_metric = [name for name in allowed if name.lower().partition("@")[0] == metric]
    same_cutoff = [name for name in allowed if name.partition("@")[2] == k]
    chosen = (same_metric or same_cutoff or allowed)[0]
    return metric_in_view(chosen, view) if view else chosen


def _source(key: str, sources: Sequence[Mapping[str, Any]]) -> int:
    """Position of the source of a key; the number of sources for a default."""
    for position, source in enumerate(sources):
        if key in source:
            return position
    return len(sources)


def _measured(config: ConfigLike) -> list[str]:
    """Metrics of an evaluation, with their cut-offs."""
    # RecBole takes a single metric or cut-off for a list of one
    metrics = config["metrics"]
    if isinstance(metrics, str):
        metrics = [metrics]
    cutoffs = config["topk"]
    if not isinstance(cutoffs, (list, tuple)):
        cutoffs = [cutoffs]

    names: list[str] = []
    for metric in metrics:
        if metric.lower() in VALUE_METRICS:
            names.append(metric)
        else:
            names += [f"{metric}@{k}" for k in cutoffs]
    return names


def evaluation_config(config: ConfigLike) -> EvaluationConfig:
    """Read the keys of the evaluation.

    Raises:
        ConfigError: A value is not allowed.
    """
    cold_start = cold_start_config(config)
    # the negatives before the candidates: the first wrong key is the one in the message
    train_neg_candidates = read_key(config, "train_neg_candidates")
    by_split: Literal["split", "all"] = "split" if cold_start else "all"
    candidates: Literal["split", "all"] = read_key(config, "eval_candidates") or by_split

    return EvaluationConfig(
        cold_start=cold_start,
        candidates=candidates,
        train_neg_candidates=train_neg_candidates,
        groups=read_key(config, "eval_groups"),
        save_per_user=read_key(config, "save_per_user"),
        save_learning_curve=read_key(config, "save_learning_curve"),
        gap_every=read_key(config, "gap_every"),
        save_gap=read_key(config, "save_gap"),
        save_split=read_key(config, "save_split"),
        tensorboard=read_key(config, "tensorboard"),
    )


def long_tail_ratio(config: ConfigLike) -> float:
    """Read the share of the items, the least popular ones, in the long tail.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    ratio: float = read_key(config, "long_tail_ratio")
    return ratio


def named_field(config: ConfigLike, key: str, metric: str) -> str:
    """Read the item field of a metric.

    Args:
        config: RecBole's ``Config``.
        key: Key with the name of the field.
        metric: Name of the metric, for the message.

    Raises:
        ConfigError: The key is not set.
    """
    name: str | None = read_key(config, key)
    if name is None:
        refuse(key, None, f"the name of an item field, which {metric} needs")
    return name


def calibration_alpha(config: ConfigLike) -> float:
    """Read the share of the profile in UserCalibration's distribution of a list.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    alpha: float = read_key(config, "calibration_alpha")
    return alpha
