"""``recbole-sibrar missing``: evaluate trained models with missing modalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import recbole.quick_start

from recbole_sibrar.config import listed, refuse
from recbole_sibrar.studies.checkpoints import checkpoint_errors, quiet, with_modalities
from recbole_sibrar.studies.files import write_table
from recbole_sibrar.studies.missing.measures import COLUMNS, Study
from recbole_sibrar.studies.missing.options import Plan
from recbole_sibrar.studies.missing.tables import table

__all__ = ["run", "table", "write_table"]


def run(
    checkpoints: Sequence[str],
    plan: Plan,
    metric: str | None,
    note: Callable[[str], None],
    data_path: str | None = None,
) -> tuple[pd.DataFrame, str]:
    """Evaluate the models of some checkpoints, one after the other.

    Args:
        checkpoints: Files written by RecBole.
        plan: The hidden values.
        metric: Name of a metric of every model; None for the first model's validation metric.
        note: Receives warnings: models left out, results easily misread.
        data_path: Folder of the data, if they have moved since training.

    Returns:
        The rows of all studies (see :class:`~recbole_sibrar.studies.missing.measures.Study`), and
        the metric.

    Raises:
        ConfigError: No checkpoint has modalities, a modality or metric is unknown, or data do not
            fit a model.
    """
    # A checkpoint named twice would count twice in the means.
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
            # Before all trials: a wrong name would be seen only at the end.
            if metric is not None:
                _check_metric(metric, list(study.evaluate(study.trials[0])))
            metric = metric or study.config["valid_metric"].lower()
            frames.append(study.run(file, progress=True))

    assert metric is not None  # there is a file, or with_modalities has refused
    return pd.concat(frames, ignore_index=True), metric


def _load(file: str, plan: Plan, data_path: str | None) -> tuple[Study, str | None]:
    """Load a checkpoint and its data; describe how they differ from the data of training."""
    with checkpoint_errors(file):
        loaded = recbole.quick_start.load_data_and_model(file, data_path=data_path)
        config, model, _, train_data, _, test_data = loaded
        return Study(config, model, train_data, test_data, plan), train_data.data_note


def _check_metric(metric: str, columns: Sequence[str]) -> None:
    metrics = [name for name in columns if name not in COLUMNS]
    if metric not in metrics:
        known = listed(metrics, metric)
        refuse("--metric", metric, f"any of the checkpoint's metrics {known}")
