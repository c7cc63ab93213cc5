"""How far a training is: what is saved of it, and an epoch that can be left after any batch and gone on with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recbole.trainer import KGTrainer, Trainer

from recbole_sibrar.config import training_config
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.skipping import rest_of_epoch
from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer import checkpoint, tensorboard
from recbole_sibrar.trainer.interruption import TrainingStopped, common_reason, reason_to_stop
from recbole_sibrar.trainer.state import STATE, full_state, loader_states, random_state
from recbole_sibrar.trainer.training_state import training_state

ALL = -1
"""Number of batches of an epoch that is trained and not yet validated."""

_AGREE_EVERY = 16
"""Batches after which several processes ask each other whether one has to stop."""

_BYTES_A_SECOND = 1e8
"""How fast a state is written, before one was."""


class Progress:
    """Where a call of RecBole's ``fit`` is.

    Args:
        trainer: RecBole's trainer.
        saved: Whether the call saves checkpoints.
    """

    def __init__(self, trainer: Trainer, saved: bool) -> None:
        self.trainer = trainer
        self.every = training_config(trainer.config).checkpoint_every
        self.best = Path(trainer.saved_model_file)
        self.saves = saved and type(trainer) in (Trainer, KGTrainer)
        """Whether a state can be saved; trainers of a model's own have state that no checkpoint holds."""
        self.is_trained = False
        """Whether the training has come to its end."""
        self.keeps_last = False
        """Whether the latest state on the disk is known to be complete."""
        self.resumed: dict[str, Any] | None = None
        """What was done of the epoch with which a resumed run starts."""
        self.batches = 0
        self.losses: Any = None
        self.start: list[Any] = []
        """Where the loaders' generators were when the epoch started."""
        self.trained: dict[str, Any] | None = None
        """The state of the generators after the last batch, during a validation."""
        self.between: float | None = None
        """When the batch before the next one was done, in seconds of the monotonic clock."""
        self.seconds = 0.0
        """How long the slowest batch of this epoch took."""
        numbers = sum(parameter.numel() for parameter in trainer.model.parameters())
        self.reserve = 1 + 12 * numbers / _BYTES_A_SECOND
        """Seconds that stopping takes: a state, which has each parameter three times, and what comes before it."""

    def save(self, epoch: int, batches: int = 0) -> None:
        """Write the latest state; the one that was there becomes the previous one.

        Args:
            epoch: Number of the last epoch that is complete.
            batches: How many batches of the following one are done, or :data:`ALL`.

        Raises:
            DataError: It cannot be written.
        """
        if not self.saves:
            return
        started = time.monotonic()
        keep = checkpoint.previous_file(self.best) if self.keeps_last else None
        checkpoint.write(self.trainer.config, checkpoint.last_file(self.best), self._state(epoch, batches), keep)
        self.keeps_last = True
        self.reserve = max(self.reserve, 1 + 3 * (time.monotonic() - started))

    def _state(self, epoch: int, batches: int) -> dict[str, Any]:
        after = self.trained if batches == ALL else None
        own = {
            "random": after["random"] if after else random_state(),
            "losses": self.losses,
            "drawn": tensorboard.draws(self.trainer.model),
        }
        now = self.start if batches else loader_states(training_state(self.trainer).loader)
        state = full_state(self.trainer, epoch, self.trainer.best_valid_result, after["loaders"] if after else now, own)
        state[STATE] |= {
            "batches": batches,
            "best": self.best.name,
            "best_is_there": self.best.is_file(),
        }
        return state

    def end(self, only: str | None = None, where: str = "after the last epoch") -> None:
        """Save the state after the last epoch, and stop if that was asked for too late to do it before.

        Args:
            only: The only reason for which to stop, and not to save, as the last epoch is long ago.
            where: In words.

        Raises:
            TrainingStopped: A stop was asked for.
            DataError: The state cannot be written.
        """
        config, losses = self.trainer.config, self.trainer.train_loss_dict
        reason = reason_to_stop(config) if self.saves else None
        reason = common_reason(config, reason if only in (None, reason) else None)
        if only is None and (self.every or reason):
            self.save(max(losses, default=self.trainer.start_epoch - 1))
        if reason:
            self._raise(reason, where)

    def between_evaluations(self) -> None:
        """Stop before a batch of an evaluation if that is asked for; several processes go on to its end.

        Raises:
            TrainingStopped: A stop was asked for.
        """
        config = self.trainer.config
        reason = reason_to_stop(config, self.reserve) if processes.count(config) == 1 else None
        if reason and self.trained:
            self._stop(reason, max(self.trainer.train_loss_dict), ALL)
        elif reason:
            self._raise(reason, "in the test")

    def _stop(self, reason: str, epoch: int, batches: int) -> None:
        self.save(epoch - 1, batches)
        self._raise(reason, f"in epoch {epoch}")

    def _raise(self, reason: str, where: str) -> None:
        message = f"stopped by {reason} {where}; {self.advice()}"
        if processes.is_main(self.trainer.config):
            self.trainer.logger.warning(message)
        raise TrainingStopped(reason, message)

    def advice(self) -> str:
        """How the run is continued."""
        file = checkpoint.newest(self.best) if self.saves else None
        return f"--resume={file} continues this run" if file else "nothing was saved that it could be continued from"

    def failure(self, error: OSError) -> DataError:
        """What a file that the training could not read or write ends it with: the file, the reason, what is intact.

        Args:
            error: What the system said.
        """
        file = f"{error.filename}: " if error.filename else ""
        return DataError(f"the training failed: {file}{error.strerror or error}; {self.advice()}")

    def note_trained(self) -> None:
        """Remember the states of the generators before a validation, which may draw numbers."""
        loaders = loader_states(training_state(self.trainer).loader)
        self.trained = {"random": random_state(), "loaders": loaders}

    def epoch(self, train: Callable[..., Any], loader: Any, epoch: int, loss: Any, **options: Any) -> Any:
        """Train an epoch, or what is left of it.

        Args:
            train: Trains on a loader: ``train(loader, epoch, loss_func=...)``.
            loader: The training loader.
            epoch: Its number.
            loss: Gives the loss of a batch, or several.
            options: For ``train``.

        Returns:
            The sums of the losses, the mean of all processes.

        Raises:
            TrainingStopped: A stop was asked for.
        """
        self.between = None
        done, self.resumed = self.resumed or {"batches": 0, "losses": None, "drawn": {}}, None
        self.batches, self.losses, self.start = done["batches"], done["losses"], loader_states(loader)
        tensorboard.add_draws(self.trainer.model, done["drawn"])
        if self.batches != ALL:
            if processes.count(self.trainer.config) > 1:  # whose epochs can have fewer batches than they agree after
                self._stop_if_asked(epoch)
            self.seconds = 0.0
            batches = _Batches(loader, self.batches, lambda: self._between_batches(epoch))
            train(batches, epoch, loss_func=lambda batch: self._counted(loss(batch)), **options)
        config, losses = self.trainer.config, self.losses
        if isinstance(losses, tuple):
            return tuple(processes.mean(config, part) for part in losses)
        return losses if losses is None else processes.mean(config, losses)

    def _counted(self, losses: Any) -> Any:
        """Add the losses of a batch to those of the epoch, as RecBole does."""
        if isinstance(losses, tuple):
            numbers = tuple(loss.item() for loss in losses)
            self.losses = (
                tuple(map(sum, zip(self.losses, numbers, strict=True))) if isinstance(self.losses, tuple) else numbers
            )
        else:
            self.losses = losses.item() if self.losses is None else self.losses + losses.item()
        return losses

    def _between_batches(self, epoch: int) -> None:
        self.batches += 1
        now = time.monotonic()
        self.seconds, self.between = max(self.seconds, now - (self.between or now)), now
        config = self.trainer.config
        if processes.count(config) > 1 and self.batches % _AGREE_EVERY:
            return
        self._stop_if_asked(epoch)

    def _stop_if_asked(self, epoch: int) -> None:
        config = self.trainer.config
        until_asked_again = _AGREE_EVERY * self.seconds if processes.count(config) > 1 else 0.0
        reason = common_reason(config, reason_to_stop(config, self.reserve + until_asked_again))
        if reason:
            self._stop(reason, epoch, self.batches)


class _Batches:
    """A training loader without the batches that are done, for RecBole's loop over an epoch.

    Args:
        loader: The loader.
        done: Number of batches to skip.
        between: Called after each batch.
    """

    def __init__(self, loader: Any, done: int, between: Callable[[], None]) -> None:
        self.loader = loader
        self.done = done
        self.between = between

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader) - self.done

    def __iter__(self) -> Iterator[Any]:
        for batch in rest_of_epoch(self.loader, self.done):
            yield batch
            self.between()
