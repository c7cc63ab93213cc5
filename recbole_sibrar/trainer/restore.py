"""Which file a run is continued from, and whether it fits the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import WITHOUT_EFFECT, differences
from recbole_sibrar.data.record import training_data as records
from recbole_sibrar.data.record.training_data import TrainingData
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.trainer import checkpoint
from recbole_sibrar.trainer.progress import ALL
from recbole_sibrar.trainer.state import STATE, runs_elsewhere, this_process

AUTO = "auto"
"""Value of the key ``resume`` for the newest unfinished run with the same configuration."""

_PROLONGING = ("epochs", "stopping_step")


def find(
    config: Any, note: Callable[[str], None], record: TrainingData | None = None, has_test: bool = True
) -> str | None:
    """The newest unfinished run in ``checkpoint_dir`` with the same model, data, split and configuration.

    Args:
        config: RecBole's ``Config``.
        note: Takes a line about what is left out, and about what was found.
        record: Of the data of this run; None where nobody has recorded them.
        has_test: Whether the run ends with a test, so that one which is trained is not yet at its end.

    Returns:
        A file to resume; None if there is none.
    """
    folder = Path(config["checkpoint_dir"])
    for best in checkpoint.unfinished(folder):
        last = checkpoint.last_file(best)
        try:
            _, content = choose(last, note)
        except CheckpointError as error:
            note(f"resume: left out: {error}")
            continue
        if STATE not in content:
            note(f"resume: left out: {last}, which was written without recbole_sibrar")
            continue
        there = content["config"].final_config_dict
        if differences(there, config.final_config_dict, WITHOUT_EFFECT - {"data_path"}):
            continue
        reason = _reason_against(content, config, record, has_test)
        if reason:
            note(f"resume: left out: {last}, {reason}")
            continue
        note(f"resume: goes on with {last}")
        return str(last)
    note(f"resume: starts anew, as there is no unfinished run with this configuration in {folder}")
    return None


def _reason_against(content: dict[str, Any], config: Any, record: TrainingData | None, has_test: bool) -> str | None:
    """Why a run of the same configuration is not the one to go on with."""
    process = content[STATE]["process"]
    if runs_elsewhere(process):
        return "whose run has not ended"
    if is_trained(content, config) and (not has_test or process == this_process()):
        return "whose run has ended"
    found = _other_data(content, record)
    return f"which was trained with other data: {found}" if found else None


def is_trained(content: dict[str, Any], config: Any) -> bool:
    """Whether nothing is left to train: a state is that of the last epoch, or of an early stop."""
    ended = content["epoch"] + 1 >= config["epochs"] or content["cur_step"] > config["stopping_step"]
    return content[STATE].get("batches") == 0 and ended


def _other_data(content: Mapping[str, Any], record: TrainingData | None) -> str:
    """What the data of a checkpoint and those of this run do not have in common, in words."""
    then = content.get(records.KEY)
    if then is None or record is None:
        return ""
    return "; ".join(records.differences(TrainingData.from_plain(then), record))


@dataclass(frozen=True)
class Plan:
    """What a run is continued from."""

    file: Path
    """The checkpoint to load."""
    best: Path
    """Where the best parameters are, or will be."""
    state: dict[str, Any] | None
    """What the checkpoint holds beside RecBole's own; None if it was written without this plugin."""
    latest: bool
    """Whether the checkpoint is the latest state."""
    record: Any = None
    """What it records of its data, where nobody has compared that yet."""


def plan(
    requested: Path,
    config: Any,
    ignored: frozenset[str],
    note: Callable[[str], None],
    record: TrainingData | None = None,
) -> Plan:
    """Find out what a run is continued from.

    Args:
        requested: The checkpoint that was asked for.
        config: RecBole's ``Config`` of this run.
        ignored: More keys that change no result.
        note: Takes a warning.
        record: Of the data of this run; None where nobody has recorded them.

    Raises:
        CheckpointError: Nothing there can be read, or it does not fit.
    """
    file, content = choose(requested, note)
    warning = check_fits(file, content, config, ignored)
    if warning:
        note(warning)
    check_data(file, content, record, note)
    state = content.get(STATE)
    best = best_parameters(file, state or {})
    compared = record is not None
    return Plan(file, best, state, file == checkpoint.last_file(best), None if compared else content.get(records.KEY))


def check_data(
    file: Path, content: Mapping[str, Any], record: TrainingData | None, note: Callable[[str], None]
) -> None:
    """Check that a checkpoint was trained with the data of this run, whose numbers mean the same users and items.

    Args:
        file: The checkpoint.
        content: What it holds.
        record: Of the data of this run; None where nobody has recorded them.
        note: Takes a warning.

    Raises:
        CheckpointError: It was not.
    """
    found = _other_data(content, record)
    if found:
        raise CheckpointError(
            f"resume: {file} was trained with other data than this run has: {found}; "
            "allowed are the data and the split of that training, or a run without it"
        )
    if STATE in content and content.get(records.KEY) is None:
        note(f"resume: {file} does not say what data it was trained with, so that nobody can tell whether they changed")


def check_evaluated(
    file: str, content: dict[str, Any], record: TrainingData | None, note: Callable[[str], None]
) -> None:
    """Check that a checkpoint which is evaluated with other loaders has numbers that mean the same users and items.

    Args:
        file: The checkpoint.
        content: What it holds.
        record: Of the data of the loaders; None where nobody has recorded them.
        note: Takes a warning about other values, or another split.

    Raises:
        CheckpointError: They mean others.
    """
    found = _other_data(content, record)
    if not found or record is None:
        return
    then = TrainingData.from_plain(content[records.KEY])
    if record.known_only and records.extends(record, then):
        return  # it was said when the data were loaded for a checkpoint
    if records.id_differences(then, record):
        raise CheckpointError(
            f"{file} was trained with other data than those that are evaluated: {found}; "
            "recbole.quick_start.load_data_and_model loads a model with data whose numbers are those of training"
        )
    note(f"{file}: the data are not those that the model was trained with: {found}")


def choose(requested: Path, note: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """The checkpoint to load for the one that was asked for.

    A latest state that cannot be read gives way to the one before it, and both to the best checkpoint where that is
    newer, because the run was killed between writing the two.

    Args:
        requested: The file.
        note: Takes a warning.

    Returns:
        The file, and its content on the CPU.

    Raises:
        CheckpointError: There is none that can be read.
    """
    best = checkpoint.best_file(requested)
    if requested != checkpoint.last_file(best):
        return requested, load_checkpoint(str(requested), "cpu")
    found = _readable(requested, checkpoint.previous_file(best), note)
    if best.is_file():
        content = load_checkpoint(str(best), "cpu")
        if STATE in content and _position(content) > _position(found[1]):
            return best, content
    return found


def _readable(last: Path, previous: Path, note: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    try:
        return last, load_checkpoint(str(last), "cpu")
    except CheckpointError as error:
        if not previous.is_file():
            raise
        if last.is_file():  # else the run was killed between two renamings, and nothing is wrong
            note(f"{error}; goes on with {previous}, the state before it")
        return previous, load_checkpoint(str(previous), "cpu")


def _position(content: dict[str, Any]) -> tuple[int, float]:
    """The epoch that comes next, and how much of it is done."""
    batches = content.get(STATE, {}).get("batches", 0)
    return content["epoch"] + 1, float("inf") if batches == ALL else batches


def best_parameters(file: Path, state: dict[str, Any]) -> Path:
    """RecBole's checkpoint of the best epoch that belongs to a file.

    Args:
        file: The file that is continued from.
        state: What is saved in it beside RecBole's own.

    Raises:
        CheckpointError: There was one, and it is gone.
    """
    if "best" not in state:
        return file
    best = checkpoint.best_file(file)
    best = best if best != file else file.with_name(state["best"])
    if state["best_is_there"] and not best.is_file():
        raise CheckpointError(f"resume: {file} needs {best}, the best parameters so far, and there is no such file")
    return best


def check_fits(file: Path, content: dict[str, Any], config: Any, ignored: frozenset[str]) -> str | None:
    """Compare the configuration of a checkpoint with that of the run that goes on.

    Args:
        file: The checkpoint.
        content: What it holds.
        config: RecBole's ``Config`` of this run.
        ignored: More keys that change no result.

    Returns:
        A line about the keys that differ, if any do.

    Raises:
        CheckpointError: It is another model, or another optimiser.
    """
    earlier = content["config"]
    for key in ("model", "learner"):
        if earlier[key] != config[key]:
            found = f"found {earlier[key]}, but this run has {config[key]}"
            raise CheckpointError(f"resume: {file} does not fit the key '{key}': {found}")
    changed = differences(
        earlier.final_config_dict, config.final_config_dict, WITHOUT_EFFECT.union(_PROLONGING, ignored)
    )
    if not changed:
        return None
    listed = ", ".join(f"{key}: {before} there, {now} here" for key, (before, now) in changed.items())
    return f"resume: the configuration is not that of {file}, so neither will the result be ({listed})"
