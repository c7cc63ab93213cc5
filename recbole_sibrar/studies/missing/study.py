"""``recbole-sibrar missing``: evaluate trained models with missing modalities, without training them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import recbole.quick_start

from recbole_sibrar.config import ConfigError, nearest, refuse
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.files import replacing
from recbole_sibrar.names import SIDES
from recbole_sibrar.studies.checkpoints import quiet, with_modalities
from recbole_sibrar.studies.missing.measures import COLUMNS, Plan, Study


def read_plan(side: str, modalities: str | None, rates: str, seeds: str) -> Plan:
    """Read the options of the command.

    Args:
        side: ``item`` or ``user``.
        modalities: Names separated by commas; None for all.
        rates: Numbers from 0 to 1, separated by commas.
        seeds: A positive integer.

    Raises:
        ConfigError: An option has a value that is not allowed.
    """
    if side not in SIDES:
        refuse("--side", side, f"one of {', '.join(SIDES)}{nearest(side, SIDES)}")
    names = None if modalities is None else tuple(_split(modalities))
    if names is not None and (not all(names) or len(set(names)) < len(names)):
        refuse("--modalities", modalities, "names separated by commas, each once, such as text,class")
    if not seeds.isascii() or not seeds.isdigit() or int(seeds) < 1:
        refuse("--seeds", seeds, "a positive integer, the number of seeds")
    return Plan(side, names, tuple(_rate(rate) for rate in _split(rates)), int(seeds))


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.strip().removeprefix("[").removesuffix("]").split(",")]


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        refuse("--rates", text, "numbers from 0 to 1, separated by commas, such as {RATES}")
    return rate


def run(
    checkpoints: Sequence[str],
    plan: Plan,
    metric: str | None,
    note: Callable[[str], None],
    data_path: str | None = None,
) -> tuple[pd.DataFrame, str]:
    """Evaluate the models of some checkpoints, one after the other.

    Args:
        checkpoints: Files that RecBole wrote.
        plan: What is hidden.
        metric: Name of a metric that every model has to have; None for the first model's validation metric.
        note: Takes lines about what is left out or may be misread.
        data_path: Folder of the data, where they are not those that the checkpoints name.

    Returns:
        The rows of all studies (see :class:`~recbole_sibrar.studies.missing.measures.Study`), and the metric.

    Raises:
        ConfigError: No checkpoint has modalities, a modality or metric is unknown, or data do not fit a model.
    """
    files = with_modalities(list(dict.fromkeys(checkpoints)), note, "it cannot lose one")
    frames = []
    for file in files:
        with quiet():
            study, data_note = _load(file, plan, data_path)
        if data_note:
            note(data_note)
        if len(study.evaluated) == 1:
            only = f"a single {plan.side} modality, '{study.evaluated[0]}'"
            name = f"{study.config['model']} ({file})"
            note(f"{name} has {only}: what loses it has nothing left and gets the mean embedding")
        with quiet():
            if metric is not None:
                _check_metric(metric, list(study.evaluate(study.trials[0])))
            metric = metric or study.config["valid_metric"].lower()
            frames.append(study.run(file, progress=True))
    assert metric is not None
    return pd.concat(frames, ignore_index=True), metric


def _load(file: str, plan: Plan, data_path: str | None) -> tuple[Study, str | None]:
    """The study of one checkpoint, on the data that its configuration names, and how they differ from training's."""
    try:
        config, model, _, train_data, _, test_data = recbole.quick_start.load_data_and_model(file, data_path=data_path)
        return Study(config, model, train_data, test_data, plan), train_data.data_note
    except CheckpointError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _check_metric(metric: str, columns: Sequence[str]) -> None:
    metrics = [name for name in columns if name not in COLUMNS]
    if metric not in metrics:
        refuse("--metric", metric, f"any of the checkpoint's metrics {', '.join(metrics)}{nearest(metric, metrics)}")


def table(frame: pd.DataFrame, metric: str, width: int = 5) -> str:
    """The results for the terminal: mean over the seeds, and their standard deviation (n - 1) where there are several.

    Args:
        frame: Rows of studies.
        metric: The metric of the first column.
        width: Metrics that are shown; the file has all of them.
    """
    others = [name for name in frame.columns if name not in COLUMNS and name != metric]
    metrics = [metric, *others][:width]
    parts = []
    for (model, checkpoint), rows in frame.groupby(["model", "checkpoint"], sort=False):
        parts.append(f"{model} ({checkpoint}), {rows['side'].iloc[0]} modalities")
        lines = [
            {
                "": "values lost of" if experiment == "loss" else "only",
                "modalities": modalities,
                "rate": "" if experiment == "subset" else f"{rate:g}",
                "missing": f"{group['share_missing'].mean():.3f}",
                **{name: _mean(group[name]) for name in metrics},
            }
            for (experiment, modalities, rate), group in rows.groupby(
                ["experiment", "modalities", "rate"], sort=False, dropna=False
            )
        ]
        parts.append(pd.DataFrame(lines).to_string(index=False))
    return "\n".join(parts)


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.4f}" + (f" ± {values.std():.4f}" if len(values) > 1 else "")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write all rows as CSV; a file of that name is replaced when all is written.

    Args:
        frame: Rows of studies.
        path: Where to.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)
