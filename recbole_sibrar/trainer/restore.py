"""Choice of the checkpoint to resume from, and checks that it fits the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import PROLONGING, WITHOUT_EFFECT, differences
from recbole_sibrar.data.record import training_data as records
from recbole_sibrar.data.record.training_data import TrainingData
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.protocols import ConfigLike, FullConfig
from recbole_sibrar.trainer import checkpoint
from recbole_sibrar.trainer.progress import ALL
from recbole_sibrar.trainer.state import STATE, runs_elsewhere, this_process

__all__ = [
    "AUTO",
    "Plan",
    "best_parameters",
    "check_data",
    "check_evaluated",
    "check_fits",
    "choose",
    "find",
    "is_trained",
    "plan",
]

AUTO = "auto"
"""Value of the key ``resume`` for the newest unfinished run with the same configuration."""


def find(
    config: FullConfig,
    note: Callable[[str], None],
    record: TrainingData | None = None,
    has_test: bool = True,
) -> str | None:
    """Find the newest unfinished run in ``checkpoint_dir`` with the same configuration and data.

    Args:
        config: RecBole's ``Config``.
        note: Takes a line about each file left out, and about the found one.
        record: Record of this run's data; None without one.
        has_test: True for a run with a final test; after its training it is still unfinished.

    Returns:
        A file to resume; None if there is none.
    """
    folder = Path(config["checkpoint_dir"])
    for best in checkpoint.unfinished(folder):
        last = checkpoint.last_file(best)
        content = _read_state(last, note)
        if content is None:
            continue

        # data_path counts here: another folder may have other data of the same name.
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


def _read_state(last: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """Read the latest state of a run; None if it cannot be resumed."""
    try:
        _, content = choose(last, note)
    except CheckpointError as error:
        note(f"resume: left out: {error}")
        return None

    if STATE not in content:
        note(f"resume: left out: {last}, which was written without recbole_sibrar")
        return None
    return content


def _reason_against(
    content: dict[str, Any],
    config: ConfigLike,
    record: TrainingData | None,
    has_test: bool,
) -> str | None:
    """Return the reason not to resume a run of the same configuration, or None."""
    # Two processes that resume one run would overwrite the states of each other.
    process = content[STATE]["process"]
    if runs_elsewhere(process):
        return "whose run has not ended"
    if is_trained(content, config) and (not has_test or process == this_process()):
        return "whose run has ended"
    found = _other_data(content, record)
    return f"which was trained with other data: {found}" if found else None


def is_trained(content: dict[str, Any], config: ConfigLike) -> bool:
    """Tell if a state is that of the last epoch or of an early stop.

    Args:
        content: The checkpoint.
        config: RecBole's ``Config`` of this run.
    """
    has_all_epochs: bool = content["epoch"] + 1 >= config["epochs"]
    has_stopped_early: bool = content["cur_step"] > config["stopping_step"]
    is_between_epochs: bool = content[STATE].get("batches") == 0
    return is_between_epochs and (has_all_epochs or has_stopped_early)


def _other_data(content: Mapping[str, Any], record: TrainingData | None) -> str:
    """Describe the differences between the data of a checkpoint and those of this run."""
    then = content.get(records.KEY)
    if then is None or record is None:
        return ""
    return "; ".join(records.differences(TrainingData.from_plain(then), record))


@dataclass(frozen=True)
class Plan:
    """Checkpoint to resume from."""

    file: Path
    """The checkpoint to load."""
    best: Path
    """File of the best parameters, written or not."""
    state: dict[str, Any] | None
    """Training state in the checkpoint; None in one of RecBole without this plugin."""
    latest: bool
    """True for the latest state of its run."""
    record: dict[str, Any] | None = None
    """Record of its data, unless they have been compared."""


def plan(
    requested: Path,
    config: FullConfig,
    ignored: frozenset[str],
    note: Callable[[str], None],
    record: TrainingData | None = None,
) -> Plan:
    """Choose and check the checkpoint to resume from.

    Args:
        requested: The requested checkpoint.
        config: RecBole's ``Config`` of this run.
        ignored: Further keys without influence on results.
        note: Takes a warning.
        record: Record of this run's data; None without one.

    Raises:
        CheckpointError: No state can be read, or it does not fit.
    """
    file, content = choose(requested, note)
    warning = check_fits(file, content, config, ignored)
    if warning:
        note(warning)
    check_data(file, content, record, note)

    state = content.get(STATE)
    best = best_parameters(file, state or {})
    return Plan(
        file=file,
        best=best,
        state=state,
        latest=file == checkpoint.last_file(best),
        record=content.get(records.KEY) if record is None else None,
    )


def check_data(
    file: Path,
    content: Mapping[str, Any],
    record: TrainingData | None,
    note: Callable[[str], None],
) -> None:
    """Check that a checkpoint was trained with the data of this run.

    Args:
        file: The checkpoint.
        content: Content of the checkpoint.
        record: Record of this run's data; None without one.
        note: Takes a warning.

    Raises:
        CheckpointError: The data differ.
    """
    # the numbers of users and items depend on the data: a model with other numbers would be wrong
    found = _other_data(content, record)
    if found:
        raise CheckpointError(
            f"resume: {file} was trained with other data than this run has: {found}; "
            "allowed are the data and the split of that training, or a run without it"
        )

    if STATE in content and content.get(records.KEY) is None:
        note(
            f"resume: {file} does not say what data it was trained with, so that nobody can tell "
            "whether they changed"
        )


def check_evaluated(
    file: str,
    content: dict[str, Any],
    record: TrainingData | None,
    note: Callable[[str], None],
) -> None:
    """Check that the ids of a checkpoint are those of the loaders of an evaluation.

    Args:
        file: The checkpoint.
        content: Content of the checkpoint.
        record: Record of the loaders' data; None without one.
        note: Takes a warning about other values, or another split.

    Raises:
        CheckpointError: The ids belong to other users or items.
    """
    found = _other_data(content, record)
    if not found or record is None:
        return

    then = TrainingData.from_plain(content[records.KEY])
    # reported when the data were loaded for a checkpoint
    if record.known_only and records.extends(record, then):
        return
    if records.id_differences(then, record):
        raise CheckpointError(
            f"{file} was trained with other data than those that are evaluated: {found}; "
            "recbole.quick_start.load_data_and_model loads a model with data whose numbers are "
            "those of training"
        )
    note(f"{file}: the data are not those that the model was trained with: {found}")


def choose(requested: Path, note: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Choose the checkpoint to load instead of a requested one.

    An unreadable latest state is replaced by the one before it, and both by a newer best
    checkpoint.

    Args:
        requested: The requested file.
        note: Takes a warning.

    Returns:
        The file, and its content on the CPU.

    Raises:
        CheckpointError: No file can be read.
    """
    best = checkpoint.best_file(requested)
    if requested != checkpoint.last_file(best):
        return requested, load_checkpoint(str(requested), "cpu")

    found = _readable(requested, checkpoint.previous_file(best), note)
    # the run was killed after a new best checkpoint, before its next state
    if best.is_file():
        content = load_checkpoint(str(best), "cpu")
        if STATE in content and _position(content) > _position(found[1]):
            return best, content
    return found


def _readable(
    last: Path, previous: Path, note: Callable[[str], None]
) -> tuple[Path, dict[str, Any]]:
    try:
        return last, load_checkpoint(str(last), "cpu")
    except CheckpointError as error:
        if not previous.is_file():
            raise
        # Without the file, the run was only killed between two renamings.
        if last.is_file():
            note(f"{error}; goes on with {previous}, the state before it")
        return previous, load_checkpoint(str(previous), "cpu")


def _position(content: dict[str, Any]) -> tuple[int, float]:
    """Return the next epoch and its finished part, to compare two checkpoints of a run."""
    batches = content.get(STATE, {}).get("batches", 0)
    return content["epoch"] + 1, float("inf") if batches == ALL else batches


def best_parameters(file: Path, state: dict[str, Any]) -> Path:
    """Return RecBole's checkpoint of the best epoch of a run.

    Args:
        file: The checkpoint to resume from.
        state: Training state in it.

    Raises:
        CheckpointError: It has been deleted.
    """
    if "best" not in state:
        return file

    # a file without the suffix of a state: the state itself names the best parameters
    best = checkpoint.best_file(file)
    if best == file:
        best = file.with_name(state["best"])
    if state["best_is_there"] and not best.is_file():
        raise CheckpointError(
            f"resume: {file} needs {best}, the best parameters so far, and there is no such file"
        )
    return best


def check_fits(
    file: Path,
    content: dict[str, Any],
    config: FullConfig,
    ignored: frozenset[str],
) -> str | None:
    """Compare the configuration of a checkpoint with that of the resumed run.

    Args:
        file: The checkpoint.
        content: Content of the checkpoint.
        config: RecBole's ``Config`` of this run.
        ignored: Further keys without influence on results.

    Returns:
        A line about different keys, or None.

    Raises:
        CheckpointError: It is another model, or another optimiser.
    """
    earlier = content["config"]
    for key in ("model", "learner"):
        if earlier[key] != config[key]:
            found = f"found {earlier[key]}, but this run has {config[key]}"
            raise CheckpointError(f"resume: {file} does not fit the key '{key}': {found}")

    without_effect = WITHOUT_EFFECT.union(PROLONGING, ignored)
    changed = differences(earlier.final_config_dict, config.final_config_dict, without_effect)
    if not changed:
        return None

    lines = [f"{key}: {before} there, {now} here" for key, (before, now) in changed.items()]
    listed = ", ".join(lines)
    return (
        f"resume: the configuration is not that of {file}, so neither will the result be ({listed})"
    )
