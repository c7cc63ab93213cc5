"""Extensions of RecBole's trainer for resumed runs with the results of uninterrupted ones.

RecBole's checkpoint holds parameters, optimiser, epoch, early-stopping counter and best score. To
continue identically a run also needs the random states, the position in the training data and the
best validation result. They are added here, and the latest state is kept beside the best
checkpoint.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.trainer import KGTrainer, Trainer
from recbole.utils import get_trainer, set_color

from recbole_sibrar.checkpoint_loading import identify
from recbole_sibrar.config import check_valid_metric, evaluation_config
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.record.recording import record_of
from recbole_sibrar.data.record.training_data import KEY
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.files import check_writable
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin.state import training_state
from recbole_sibrar.plugin.training import standstill
from recbole_sibrar.protocols import LoaderLike
from recbole_sibrar.trainer import checkpoint, curve, ending, restore, tensorboard
from recbole_sibrar.trainer.disk import named, writing_events
from recbole_sibrar.trainer.interruption import SIGTERM, listening
from recbole_sibrar.trainer.plain_values import held_config
from recbole_sibrar.trainer.progress import Progress
from recbole_sibrar.trainer.state import (
    full_state,
    loader_states,
    random_state,
    set_loader_states,
    set_random_state,
)

__all__ = [
    "evaluate",
    "evaluate_batch",
    "fit",
    "is_resumable",
    "make_folder",
    "resume_checkpoint",
    "save_checkpoint",
    "train_epoch",
    "valid_epoch",
]


def is_resumable(model_type: Any, model: str) -> bool:
    """Tell whether RecBole's standard trainers train a model."""
    # other trainers have state that no checkpoint holds
    return get_trainer(model_type, model) in (Trainer, KGTrainer)


def make_folder(
    original: Callable[..., None], trainer: Trainer, config: Config, *args: object
) -> None:
    """Make the folder of the checkpoints before RecBole, whose failure is a traceback.

    Raises:
        DataError: It cannot be made.
    """
    try:
        Path(config["checkpoint_dir"]).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"checkpoint_dir: cannot make {config['checkpoint_dir']}: {error.strerror}"
        ) from None
    original(trainer, config, *args)


def fit(
    original: Callable[..., Any],
    trainer: Trainer,
    train_data: LoaderLike,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Train; resume from the checkpoint of ``resume``, save states, and stop when asked to."""
    state = training_state(trainer)
    model = trainer.model
    state.loader = train_data
    if trainer.eval_step > 0 and (args[0] if args else kwargs.get("valid_data")):
        check_valid_metric(trainer.config)

    was_asked = bool(trainer.config["resume"])
    _load_checkpoint(trainer, train_data)
    if was_asked and not trainer.config["resume"] and isinstance(model, MultimodalRecommender):
        model.start_anew()
    resumed = state.resumed
    # a second training of the trainer does not resume
    state.resumed = None

    saved = kwargs.get("saved", args[2] if len(args) > 2 else True)
    progress = state.progress = Progress(trainer, saved)
    _prepare_files(progress, saved, resumed is not None)
    if resumed is not None:
        _restore(trainer, progress, train_data, resumed)
        if _has_ended(trainer, resumed):
            # the test needs what RecBole collects at the begin of a training
            trainer.eval_collector.data_collect(train_data)
            ending.end_training(progress, train_data)
            return trainer.best_valid_score, trainer.best_valid_result

    with listening() if progress.saves else nullcontext(), _closing(train_data):
        return _train(progress, lambda: original(trainer, train_data, *args, **kwargs))


def _load_checkpoint(trainer: Trainer, train_data: LoaderLike) -> None:
    """Load the checkpoint of ``resume``, and compare its data with those of the run."""
    config = trainer.config
    record = record_of(train_data)
    if config["resume"] == restore.AUTO:
        found = None
        if processes.is_main(config):
            found = restore.find(config, trainer.logger.info, record, ending.has_test(train_data))
        config.final_config_dict["resume"] = processes.broadcast(config, found)
    if config["resume"]:
        trainer.resume_checkpoint(config["resume"])

    state = training_state(trainer)
    plan = state.plan
    state.plan = None
    # The run was resumed by hand, before the data were known.
    if plan is not None and plan.record is not None:
        restore.check_data(plan.file, {KEY: plan.record}, record, trainer.logger.warning)


def _prepare_files(progress: Progress, saved: bool, is_resumed: bool) -> None:
    """Check that the checkpoint can be written, and remove states of an earlier run."""
    if not processes.is_main(progress.trainer.config):
        return
    if saved:
        check_writable(progress.best, "checkpoint_dir")
    if progress.saves and not is_resumed:
        checkpoint.remove_states(progress.best)


def _train(progress: Progress, train: Callable[[], Any]) -> Any:
    """Run RecBole's training to its end, or to a stop.

    Raises:
        DataError: A file cannot be read or written.
        TrainingStopped: A stop was asked for.
    """
    trainer = progress.trainer
    try:
        with writing_events(trainer.tensorboard):
            result = train()
        progress.end()
        ending.end_training(progress, training_state(trainer).loader)
    except KeyboardInterrupt:
        trainer.logger.warning(f"interrupted; {progress.advice()}")
        raise
    except OSError as error:
        raise progress.failure(error) from error
    return result


@contextmanager
def _closing(train_data: Any) -> Iterator[None]:
    """Release the iterators of a knowledge-based model's loader after a ``with`` block."""
    try:
        yield
    finally:
        # else the garbage collector finds them in a later cycle, and then waits 5 seconds for each
        # process that loads data
        if hasattr(train_data, "kg_dataloader"):
            train_data.kg_iter = train_data.gen_iter = None


def _restore(
    trainer: Trainer, progress: Progress, train_data: LoaderLike, state: dict[str, Any]
) -> None:
    """Restore the values of a checkpoint left out by RecBole's ``resume_checkpoint``."""
    best = state["best_valid_result"]
    # An OrderedDict, as RecBole's evaluator makes and prints it.
    trainer.best_valid_result = best and OrderedDict(best)
    trainer.train_loss_dict = state["train_loss_dict"]
    set_loader_states(train_data, state["loaders"])
    progress.keeps_last = state["keeps_last"]

    count = processes.count(trainer.config)
    rank = processes.rank(trainer.config)
    saved = state["ranks"]
    if count != len(saved):
        trainer.logger.warning(
            f"resume: {len(saved)} processes have trained the model, now {count} do: "
            "the resumed run is not the one that was interrupted"
        )

    # a process that was not there has no random state
    own = saved[rank] if rank < len(saved) else {"losses": saved[0]["losses"], "drawn": {}}
    if "random" in own:
        set_random_state(own["random"])
    if state.get("batches"):
        progress.resumed = {
            "batches": state["batches"],
            "losses": own["losses"],
            "drawn": own["drawn"],
        }


def _has_ended(trainer: Trainer, state: dict[str, Any]) -> bool:
    """Tell whether only the test is left."""
    # the latest state is that of the last epoch, or of an early stop
    ended = trainer.start_epoch >= trainer.epochs or trainer.cur_step > trainer.stopping_step
    return state.get("batches") == 0 and ended


def train_epoch(
    original: Callable[..., Any],
    trainer: Trainer,
    train_data: LoaderLike,
    epoch_idx: int,
    loss_func: Callable[..., Any] | None = None,
    show_progress: bool = False,
) -> Any:
    """Save the state after the last epoch, and train an epoch or the rest of it."""
    progress = training_state(trainer).progress
    if progress is None:
        return original(trainer, train_data, epoch_idx, loss_func, show_progress)

    # here and not at the end of an epoch, so that its validation belongs to the state
    if progress.every and epoch_idx > trainer.start_epoch and epoch_idx % progress.every == 0:
        progress.save(epoch_idx - 1)

    def train(batches: Any, epoch: int, **options: object) -> None:
        original(trainer, batches, epoch, **options, show_progress=show_progress)

    return progress.epoch(train, train_data, epoch_idx, loss_func or trainer.model.calculate_loss)


def valid_epoch(
    original: Callable[..., Any], trainer: Trainer, *args: object, **kwargs: object
) -> Any:
    """Validate, and keep the result for the checkpoint."""
    state = training_state(trainer)
    if state.progress is not None:
        state.progress.note_trained()
    score, result = original(trainer, *args, **kwargs)
    if state.progress is not None:
        state.progress.trained = None

    # RecBole saves a new best checkpoint before it notes the result as the best
    state.latest_result = result
    if trainer.train_loss_dict:
        standstill.check_progress(trainer, score)

    path = evaluation_config(trainer.config).save_learning_curve
    if path:
        with named(path):
            curve.record(trainer, path, result)
    tensorboard.record_validation(trainer, result)
    return score, result


def evaluate_batch(original: Callable[..., Any], trainer: Trainer, batch: Any) -> Any:
    """Stop between two batches of an evaluation on request."""
    progress = training_state(trainer).progress
    if progress is not None:
        progress.between_evaluations()
    return original(trainer, batch)


def evaluate(
    original: Callable[..., Any],
    trainer: Trainer,
    eval_data: LoaderLike | None,
    load_best_model: bool = True,
    model_file: str | None = None,
    show_progress: bool = False,
) -> Any:
    """Evaluate a model that fits the data; with the test of the trained model, a run ends."""
    state = training_state(trainer)

    def run() -> Any:
        return original(trainer, eval_data, load_best_model, model_file, show_progress)

    def check(file: str, content: dict[str, Any]) -> None:
        restore.check_evaluated(file, content, record_of(eval_data), trainer.logger.warning)

    state.check_checkpoint = check
    try:
        if state.progress is not None and ending.is_test(state.progress, eval_data, model_file):
            return _test(state.progress, run)
        return run()
    finally:
        state.check_checkpoint = None


def _test(progress: Progress, run: Callable[[], Any]) -> Any:
    """Run the test at the end of a run; afterwards there is nothing to continue."""
    try:
        with listening():
            result = run()
            progress.end(SIGTERM, "after the test")
    except BaseException:
        # the test can be done again
        ending.keep_states()
        raise
    ending.end_run(progress)
    return result


def resume_checkpoint(original: Callable[..., None], trainer: Trainer, resume_file: str) -> None:
    """Load a checkpoint, and keep the state that :func:`fit` restores.

    Raises:
        CheckpointError: It cannot be read, or does not fit.
    """
    config = trainer.config
    state = training_state(trainer)
    found = None
    ignored: frozenset[str] = frozenset()
    if isinstance(trainer.model, MultimodalRecommender):
        # our loaders draw the same numbers with any number of workers
        ignored = frozenset({"worker"})
    if processes.is_main(config):
        record = None if state.loader is None else record_of(state.loader)
        found = restore.plan(Path(resume_file), config, ignored, trainer.logger.warning, record)
    # One of several machines has the files.
    plan = processes.broadcast(config, found)
    assert plan is not None

    try:
        original(trainer, str(plan.file))
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"resume: {plan.file} does not fit the model: {reason}") from None
    trainer.saved_model_file = str(plan.best)
    if plan.state is None:
        trainer.logger.warning(
            f"{plan.file} was written without recbole_sibrar and holds no random state: "
            "the resumed run is not the one that was interrupted"
        )
        return
    state.resumed = {**plan.state, "keeps_last": plan.latest}
    state.plan = plan


def save_checkpoint(
    original: Callable[..., None], trainer: Trainer, epoch: int, verbose: bool = True, **kwargs: str
) -> None:
    """Write RecBole's checkpoint with our state, as a whole or not at all."""
    state = training_state(trainer)
    file = kwargs.get("saved_model_file", trainer.saved_model_file)
    if state.loader is None:
        _save_without_state(original, trainer, epoch, verbose, kwargs)
        state.written_checkpoint = identify(file)
        return

    # RecBole's -1: there was nothing left to train.
    if epoch < 0:
        epoch = trainer.start_epoch - 1
    result = state.latest_result
    if result is None:
        result = trainer.best_valid_result
    own = {"random": random_state(), "losses": None, "drawn": {}}
    content = full_state(trainer, epoch, result, loader_states(state.loader), own)
    checkpoint.write(trainer.config, Path(file), content)
    if not processes.is_main(trainer.config):
        return
    state.written_checkpoint = identify(file)
    if verbose:
        trainer.logger.info(set_color("Saving current", "blue") + f": {file}")


def _save_without_state(
    original: Callable[..., None],
    trainer: Trainer,
    epoch: int,
    verbose: bool,
    options: dict[str, Any],
) -> None:
    """Write RecBole's checkpoint as RecBole does, with a configuration fit for a checkpoint."""
    config = trainer.config
    # RecBole writes the configuration of its trainer into the file
    trainer.config = held_config(config)
    try:
        original(trainer, epoch, verbose=verbose, **options)
    finally:
        trainer.config = config
