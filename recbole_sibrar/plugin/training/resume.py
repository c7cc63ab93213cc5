"""Runs that can be continued as if they had not been interrupted: what RecBole's trainer does in addition.

RecBole's checkpoint holds parameters, optimiser, epoch, early-stopping counter and best score. What it lacks to
continue identically is added here: the random states, the position in the training data and the best validation
result; and beside the best checkpoint, the latest state is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

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
from recbole_sibrar.trainer import checkpoint, curve, ending, restore, tensorboard
from recbole_sibrar.trainer.disk import named, writing_events
from recbole_sibrar.trainer.interruption import SIGTERM, listening
from recbole_sibrar.trainer.plain_values import held_config
from recbole_sibrar.trainer.progress import Progress
from recbole_sibrar.trainer.state import full_state, loader_states, random_state, set_loader_states, set_random_state


def is_resumable(model_type: Any, model: str) -> bool:
    """Whether the model is trained by RecBole's standard trainers; others have state that no checkpoint holds."""
    return get_trainer(model_type, model) in (Trainer, KGTrainer)


def make_folder(original: Any, trainer: Any, config: Any, *args: Any) -> None:
    """Make the folder of the checkpoints before RecBole does, which would end in a traceback.

    Raises:
        DataError: It cannot be made.
    """
    try:
        Path(config["checkpoint_dir"]).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"checkpoint_dir: cannot make {config['checkpoint_dir']}: {error.strerror}") from None
    original(trainer, config, *args)


def fit(original: Any, trainer: Trainer, train_data: Any, *args: Any, **kwargs: Any) -> Any:
    """Train, from the checkpoint that the key ``resume`` names if it is set; save states, and stop when asked to."""
    trainer.training_loader = train_data
    config, saved = trainer.config, kwargs.get("saved", args[2] if len(args) > 2 else True)
    if trainer.eval_step > 0 and (args[0] if args else kwargs.get("valid_data")):
        check_valid_metric(config)
    if config["resume"] == restore.AUTO:
        found = None
        if processes.is_main(config):
            found = restore.find(config, trainer.logger.info, record_of(train_data), ending.has_test(train_data))
        config.final_config_dict["resume"] = processes.broadcast(config, found)
    if config["resume"]:
        trainer.resume_checkpoint(config["resume"])
    state, plan = (trainer.__dict__.pop(name, None) for name in ("resumed_state", "resumed_plan"))
    if plan is not None and plan.record is not None:  # resumed by hand, before the data were known
        restore.check_data(plan.file, {KEY: plan.record}, record_of(train_data), trainer.logger.warning)
    progress = trainer.progress = Progress(trainer, saved)
    if saved and processes.is_main(config):
        check_writable(progress.best, "checkpoint_dir")
    if state is not None:
        _restore(trainer, progress, train_data, state)
    elif progress.saves and processes.is_main(config):
        checkpoint.remove_states(progress.best)  # of another run that had this name
    if state is not None and _has_ended(trainer, state):
        trainer.eval_collector.data_collect(train_data)
        ending.end_training(progress, train_data)
        return trainer.best_valid_score, trainer.best_valid_result
    with listening() if progress.saves else nullcontext(), _closing(train_data):
        try:
            with writing_events(trainer.tensorboard):
                result = original(trainer, train_data, *args, **kwargs)
            progress.end()
            ending.end_training(progress, train_data)
        except KeyboardInterrupt:
            trainer.logger.warning(f"interrupted; {progress.advice()}")
            raise
        except OSError as error:
            raise progress.failure(error) from error
    return result


@contextmanager
def _closing(train_data: Any) -> Iterator[None]:
    """Let go of the iterators that a knowledge-based model's loader keeps after a ``with`` block.

    The garbage collector, which would find them in some cycle later, waits 5 seconds for each process that loads data.
    """
    try:
        yield
    finally:
        if hasattr(train_data, "kg_dataloader"):
            train_data.kg_iter = train_data.gen_iter = None


def _restore(trainer: Trainer, progress: Progress, train_data: Any, state: dict[str, Any]) -> None:
    """Set everything that RecBole's own ``resume_checkpoint`` does not to what a checkpoint holds."""
    best = state["best_valid_result"]
    trainer.best_valid_result = best and OrderedDict(best)  # as RecBole's evaluator makes it, and prints it
    trainer.train_loss_dict = state["train_loss_dict"]
    set_loader_states(train_data, state["loaders"])
    count, rank = processes.count(trainer.config), processes.rank(trainer.config)
    if count != len(state["ranks"]):
        trainer.logger.warning(
            f"resume: {len(state['ranks'])} processes have trained the model, now {count} do: "
            "the resumed run is not the one that was interrupted"
        )
    own = state["ranks"][rank] if rank < len(state["ranks"]) else {"losses": state["ranks"][0]["losses"], "drawn": {}}
    if "random" in own:
        set_random_state(own["random"])
    progress.keeps_last = state["keeps_last"]
    if state.get("batches"):
        progress.resumed = {"batches": state["batches"], "losses": own["losses"], "drawn": own["drawn"]}


def _has_ended(trainer: Trainer, state: dict[str, Any]) -> bool:
    """Whether nothing is left but the test: the latest state is that of the last epoch, or of an early stop."""
    ended = trainer.start_epoch >= trainer.epochs or trainer.cur_step > trainer.stopping_step
    return state.get("batches") == 0 and ended


def train_epoch(
    original: Any,
    trainer: Trainer,
    train_data: Any,
    epoch_idx: int,
    loss_func: Any = None,
    show_progress: bool = False,
) -> Any:
    """Save the state that the last epoch has left, and train an epoch, or what is left of it."""
    progress: Progress | None = trainer.__dict__.get("progress")
    if progress is None:
        return original(trainer, train_data, epoch_idx, loss_func, show_progress)
    if progress.every and epoch_idx > trainer.start_epoch and epoch_idx % progress.every == 0:
        progress.save(epoch_idx - 1)

    def train(batches: Any, epoch: int, **options: Any) -> None:
        original(trainer, batches, epoch, **options, show_progress=show_progress)

    return progress.epoch(train, train_data, epoch_idx, loss_func or trainer.model.calculate_loss)


def valid_epoch(original: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Remember the validation result: RecBole saves a new best checkpoint before it notes the result as the best."""
    progress: Progress | None = trainer.__dict__.get("progress")
    if progress is not None:
        progress.note_trained()
    score, result = original(trainer, *args, **kwargs)
    if progress is not None:
        progress.trained = None
    trainer.latest_valid_result = result
    path = evaluation_config(trainer.config).save_learning_curve
    if path:
        with named(path):
            curve.record(trainer, path, result)
    tensorboard.record_validation(trainer, result)
    return score, result


def evaluate_batch(original: Any, trainer: Trainer, batch: Any) -> Any:
    """Stop between two batches of an evaluation if that is asked for."""
    progress: Progress | None = trainer.__dict__.get("progress")
    if progress is not None:
        progress.between_evaluations()
    return original(trainer, batch)


def evaluate(
    original: Any,
    trainer: Trainer,
    eval_data: Any,
    load_best_model: bool = True,
    model_file: Any = None,
    show_progress: bool = False,
) -> Any:
    """Evaluate a model that fits the data; with the test of what was trained, a run has ended."""

    def evaluate() -> Any:
        return original(trainer, eval_data, load_best_model, model_file, show_progress)

    def check(file: str, content: dict[str, Any]) -> None:
        restore.check_evaluated(file, content, record_of(eval_data), trainer.logger.warning)

    trainer.check_checkpoint = check
    try:
        progress: Progress | None = trainer.__dict__.get("progress")
        if progress is not None and ending.is_test(progress, eval_data, model_file):
            return _test(progress, evaluate)
        return evaluate()
    finally:
        trainer.__dict__.pop("check_checkpoint", None)


def _test(progress: Progress, evaluate: Callable[[], Any]) -> Any:
    """Run the test with which a run ends, after which there is nothing to continue any more."""
    try:
        with listening():
            result = evaluate()
            progress.end(SIGTERM, "after the test")
    except BaseException:
        ending.keep_states()  # the test can be done again
        raise
    ending.end_run(progress)
    return result


def resume_checkpoint(original: Any, trainer: Trainer, resume_file: str) -> None:
    """Load a checkpoint, and keep what :func:`fit` needs to continue as if nothing had happened."""
    config, found = trainer.config, None
    ignored = frozenset({"worker"} if isinstance(trainer.model, MultimodalRecommender) else ())
    if processes.is_main(config):
        loader = trainer.__dict__.get("training_loader")
        record = None if loader is None else record_of(loader)
        found = restore.plan(Path(resume_file), config, ignored, trainer.logger.warning, record)
    plan: restore.Plan = processes.broadcast(config, found)  # of several machines, one has the files
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
    trainer.resumed_state = {**plan.state, "keeps_last": plan.latest}
    trainer.resumed_plan = plan


def save_checkpoint(original: Any, trainer: Trainer, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
    """Write RecBole's checkpoint with our state added, to a temporary name that is renamed when it is complete."""
    loader = trainer.__dict__.get("training_loader")
    file = kwargs.get("saved_model_file", trainer.saved_model_file)
    if loader is None:
        config = trainer.config
        trainer.config = held_config(config)
        try:
            original(trainer, epoch, verbose=verbose, **kwargs)
        finally:
            trainer.config = config
        trainer.written_checkpoint = identify(file)
        return
    epoch = epoch if epoch >= 0 else trainer.start_epoch - 1  # RecBole's -1: there was nothing left to train
    result = trainer.__dict__.get("latest_valid_result", trainer.best_valid_result)
    own = {"random": random_state(), "losses": None, "drawn": {}}
    checkpoint.write(trainer.config, Path(file), full_state(trainer, epoch, result, loader_states(loader), own))
    if not processes.is_main(trainer.config):
        return
    trainer.written_checkpoint = identify(file)
    if verbose:
        trainer.logger.info(set_color("Saving current", "blue") + f": {file}")
