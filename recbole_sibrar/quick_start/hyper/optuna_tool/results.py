"""Results of a search as a study of Optuna: a storage for its tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from recbole_sibrar.files import replacing
from recbole_sibrar.quick_start.hyper.parameter import Parameter
from recbole_sibrar.quick_start.hyper.record import Record, Status, Trial
from recbole_sibrar.quick_start.hyper.space import Space

__all__ = ["STORAGE", "STUDY", "make_study", "write_storage"]

STORAGE = "optuna.log"
"""Optuna's journal file, in the folder of a search."""

STUDY = "run_hyper"
"""Name of the study in the storage."""

_STATES = {
    Status.OK: TrialState.COMPLETE,
    Status.STOPPED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
}


def make_study(record: Record, space: Space, storage: BaseStorage | None = None) -> optuna.Study:
    """Make a study with the ended trials and their values as they are in the results.

    The study of the search itself has positions of choices and multiples of steps instead.

    Args:
        record: The trials.
        space: The search space.
        storage: Storage of the study; None for the memory.
    """
    direction = StudyDirection.MAXIMIZE if record.bigger else StudyDirection.MINIMIZE
    study = optuna.create_study(storage=storage, study_name=STUDY, direction=direction)
    for trial in record.ended:
        study.add_trial(_frozen(trial, space))
    return study


def write_storage(record: Record, space: Space, file: Path) -> None:
    """Write the study as a journal file of Optuna; an existing file is replaced.

    Args:
        record: The trials.
        space: The search space.
        file: The file.
    """
    # Anew: Optuna would append to an existing journal.
    with replacing(file) as temporary:
        make_study(record, space, JournalStorage(JournalFileBackend(str(temporary))))


def _frozen(trial: Trial, space: Space) -> FrozenTrial:
    """Turn a trial of the record into one of Optuna."""
    params = {}
    distributions = {}
    for parameter in space.parameters:
        params[parameter.name] = _value(parameter, trial)
        distributions[parameter.name] = _distribution(parameter)

    return create_trial(
        params=params,
        distributions=distributions,
        value=None if trial.status is Status.FAILED else trial.score,
        state=_STATES[trial.status],
        user_attrs={"seconds": trial.seconds, "best_epoch": trial.best_epoch, **trial.result},
    )


def _value(parameter: Parameter, trial: Trial) -> Any:
    value = trial.parameters[parameter.name]
    return _label(value) if parameter.kind == "choice" else float(value)


def _distribution(parameter: Parameter) -> BaseDistribution:
    ends = parameter.ends()
    if parameter.kind == "choice":
        return CategoricalDistribution([_label(choice) for choice in ends])

    # The multiples nearest to the ends can lie beyond them.
    if parameter.kind == "quniform":
        step = parameter.values[2]
        ends = tuple(parameter.value(round(end / step) * step) for end in parameter.values[:2])

    low, high = map(float, ends)
    return FloatDistribution(low, high, log=parameter.kind == "loguniform")


def _label(choice: Any) -> str | float | None:
    """Write lists and dictionaries as text."""
    # Optuna's storages take nothing else than these types.
    return choice if isinstance(choice, (str, int, float, bool, type(None))) else str(choice)
