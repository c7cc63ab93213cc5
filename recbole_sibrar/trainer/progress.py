"""Progress of a training: its saved states, and epochs that can stop after any batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from recbole.trainer import KGTrainer, Trainer
from torch import Tensor

from recbole_sibrar.config import training_config
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.skipping import rest_of_epoch
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import LoaderLike
from recbole_sibrar.trainer import checkpoint, tensorboard
from recbole_sibrar.trainer.interruption import TrainingStopped, common_reason, reason_to_stop
from recbole_sibrar.trainer.state import STATE, full_state, loader_states, random_state
from recbole_sibrar.trainer.training_state import training_state

__all__ = ["ALL", "Progress"]

ALL = -1
"""Number of batches of a trained epoch before its validation."""

_AGREE_EVERY = 16
"""Batches between two questions of several processes if one has to stop."""

_BYTES_A_SECOND = 1e8
"""Assumed speed of writing the first state."""

Loss = Callable[[Any], Tensor | tuple[Tensor, ...]]
"""Loss of a batch, or its parts."""


class Progress:
    """Position of a call of RecBole's ``fit``.

    Args:
        trainer: RecBole's trainer.
        saved: True for a call with checkpoints.
    """

    def __init__(self, trainer: Trainer, saved: bool) -> None:
        self.trainer = trainer
        self.every = training_config(trainer.config).checkpoint_every
        self.best = Path(trainer.saved_model_file)
        # Subclasses, such as RecVAE's trainer, keep further optimisers that RecBole's checkpoint
        # does not hold.
        self.saves = saved and type(trainer) in (Trainer, KGTrainer)
        """True if a state can be saved; a model's own trainer has state outside the checkpoint."""
        self.is_trained = False
        """True after the end of the training."""
        self.keeps_last = False
        """True for a complete latest state on the disk."""

        self.resumed: dict[str, Any] | None = None
        """Finished part of the first epoch of a resumed run."""
        self.batches = 0
        """Finished batches of this epoch."""
        self.losses: float | tuple[float, ...] | None = None
        """Sums of the losses of this epoch."""
        self.start: list[Any] = []
        """Loader states at the start of this epoch."""
        self.trained: dict[str, Any] | None = None
        """Generator states after the last batch, during a validation."""

        self.between: float | None = None
        """End of the last batch, in seconds of the monotonic clock."""
        self.seconds = 0.0
        """Time of the slowest batch of this epoch."""
        n_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        # A state has each parameter three times in float32: the parameter and Adam's two moments.
        self.reserve = 1 + 12 * n_parameters / _BYTES_A_SECOND
        """Seconds needed for stopping."""

    def save(self, epoch: int, batches: int = 0) -> None:
        """Write the latest state; the present one becomes the previous one.

        Args:
            epoch: Number of the last complete epoch.
            batches: Number of finished batches of the following one, or :data:`ALL`.

        Raises:
            DataError: The state cannot be written.
        """
        if not self.saves:
            return

        started = time.monotonic()
        last = checkpoint.last_file(self.best)
        keep = checkpoint.previous_file(self.best) if self.keeps_last else None
        checkpoint.write(self.trainer.config, last, self._state(epoch, batches), keep)

        self.keeps_last = True
        # the next writing may be slower than this one
        seconds = time.monotonic() - started
        self.reserve = max(self.reserve, 1 + 3 * seconds)

    def _state(self, epoch: int, batches: int) -> dict[str, Any]:
        # a stopped validation may have drawn numbers: it starts again from the states before it
        after_epoch = self.trained if batches == ALL else None
        own = {
            "random": after_epoch["random"] if after_epoch else random_state(),
            "losses": self.losses,
            "drawn": tensorboard.draws(self.trainer.model),
        }

        if after_epoch:
            loaders = after_epoch["loaders"]
        elif batches:
            # A resumed run draws the epoch again and skips its finished batches.
            loaders = self.start
        else:
            loaders = loader_states(training_state(self.trainer).loader)

        state = full_state(self.trainer, epoch, self.trainer.best_valid_result, loaders, own)
        state[STATE] |= {
            "batches": batches,
            "best": self.best.name,
            "best_is_there": self.best.is_file(),
        }
        return state

    def end(self, only: str | None = None, where: str = "after the last epoch") -> None:
        """Save the state after the last epoch, and stop if there is a late request.

        Args:
            only: The only reason to stop for, without saving, long after the last epoch.
            where: Place of the stop, in words.

        Raises:
            TrainingStopped: There was a request to stop.
            DataError: The state cannot be written.
        """
        config = self.trainer.config
        # All processes have to take part in the agreement, also without a reason of their own.
        reason = reason_to_stop(config) if self.saves else None
        reason = common_reason(config, reason if only in (None, reason) else None)

        if only is None and (self.every or reason):
            # without an epoch, the run has only loaded a state
            nothing = self.trainer.start_epoch - 1
            self.save(max(self.trainer.train_loss_dict, default=nothing))
        if reason:
            self._raise(reason, where)

    def between_evaluations(self) -> None:
        """Stop before a batch of an evaluation on request; several processes evaluate to the end.

        Raises:
            TrainingStopped: There was a request to stop.
        """
        config = self.trainer.config
        reason = None
        if processes.count(config) == 1:
            reason = reason_to_stop(config, self.reserve)
        if reason and self.trained:
            self._stop(reason, max(self.trainer.train_loss_dict), ALL)
        elif reason:
            self._raise(reason, "in the test")

    def _stop(self, reason: str, epoch: int, batches: int) -> NoReturn:
        self.save(epoch - 1, batches)
        self._raise(reason, f"in epoch {epoch}")

    def _raise(self, reason: str, where: str) -> NoReturn:
        message = f"stopped by {reason} {where}; {self.advice()}"
        if processes.is_main(self.trainer.config):
            self.trainer.logger.warning(message)
        raise TrainingStopped(reason, message)

    def advice(self) -> str:
        """Return the way to continue the run, for messages."""
        file = checkpoint.newest(self.best) if self.saves else None
        if file is None:
            return "nothing was saved that it could be continued from"
        return f"--resume={file} continues this run"

    def failure(self, error: OSError) -> DataError:
        """Make the error for a file that cannot be read or written.

        It names the file, the reason, and the way to continue.

        Args:
            error: The system's error.
        """
        file = f"{error.filename}: " if error.filename else ""
        return DataError(f"the training failed: {file}{error.strerror or error}; {self.advice()}")

    def note_trained(self) -> None:
        """Keep the states of the generators before a validation, which may draw numbers."""
        loaders = loader_states(training_state(self.trainer).loader)
        self.trained = {"random": random_state(), "loaders": loaders}

    def epoch(
        self,
        train: Callable[..., object],
        loader: LoaderLike,
        epoch: int,
        loss: Loss,
        **options: object,
    ) -> float | tuple[float, ...] | None:
        """Train an epoch, or the rest of it.

        Args:
            train: Trains on a loader: ``train(loader, epoch, loss_func=...)``.
            loader: The training loader.
            epoch: Number of the epoch.
            loss: Loss of a batch, or its parts.
            options: Further options of ``train``.

        Returns:
            Sums of the losses, averaged over all processes.

        Raises:
            TrainingStopped: There was a request to stop.
        """
        self._start_epoch(loader)
        if self.batches != ALL:
            self._train_rest(train, loader, epoch, loss, options)

        config = self.trainer.config
        if self.losses is None:
            return None
        if isinstance(self.losses, tuple):
            return tuple(processes.mean(config, part) for part in self.losses)
        mean: float = processes.mean(config, self.losses)
        return mean

    def _start_epoch(self, loader: LoaderLike) -> None:
        """Start an epoch, or take up the finished part of a resumed one."""
        done = self.resumed or {"batches": 0, "losses": None, "drawn": {}}
        self.resumed = None
        self.between = None
        self.batches = done["batches"]
        self.losses = done["losses"]
        self.start = loader_states(loader)
        tensorboard.add_draws(self.trainer.model, done["drawn"])

    def _train_rest(
        self,
        train: Callable[..., object],
        loader: LoaderLike,
        epoch: int,
        loss: Loss,
        options: dict[str, object],
    ) -> None:
        # An epoch may have fewer batches than _AGREE_EVERY.
        if processes.count(self.trainer.config) > 1:
            self._stop_if_asked(epoch)

        self.seconds = 0.0
        rest = _RestOfEpoch(loader, self.batches, lambda: self.after_batch(epoch))
        train(rest, epoch, loss_func=lambda batch: self._counted(loss(batch)), **options)

    def _counted(self, losses: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """Add the losses of a batch to those of the epoch, like RecBole."""
        if isinstance(losses, tuple):
            numbers = tuple(loss.item() for loss in losses)
            if isinstance(self.losses, tuple):
                numbers = tuple(map(sum, zip(self.losses, numbers, strict=True)))
            self.losses = numbers
        else:
            number = losses.item()
            # None before the first batch
            if isinstance(self.losses, float):
                number += self.losses
            self.losses = number
        return losses

    def after_batch(self, epoch: int) -> None:
        """Count a batch, and stop on request.

        Args:
            epoch: Number of the epoch.

        Raises:
            TrainingStopped: There was a request to stop.
        """
        self.batches += 1
        now = time.monotonic()
        self.seconds = max(self.seconds, now - (self.between or now))
        self.between = now

        # an agreement of several processes takes time, and all have to take part in it
        is_alone = processes.count(self.trainer.config) == 1
        if is_alone or self.batches % _AGREE_EVERY == 0:
            self._stop_if_asked(epoch)

    def _stop_if_asked(self, epoch: int) -> None:
        config = self.trainer.config
        # Between two agreements nobody can stop, so that the time for these batches belongs to the
        # reserve.
        reserve = self.reserve
        if processes.count(config) > 1:
            reserve += _AGREE_EVERY * self.seconds
        reason = common_reason(config, reason_to_stop(config, reserve))
        if reason:
            self._stop(reason, epoch, self.batches)


class _RestOfEpoch:
    """Training loader without its finished batches, for RecBole's loop over an epoch.

    Args:
        loader: The loader.
        done: Number of batches to skip.
        after_batch: Called after each batch.
    """

    def __init__(self, loader: LoaderLike, done: int, after_batch: Callable[[], None]) -> None:
        self.loader = loader
        self.done = done
        self.after_batch = after_batch

    # RecBole's trainers also read shuffle and sampler, and call set_mode
    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader) - self.done

    def __iter__(self) -> Iterator[Any]:
        for batch in rest_of_epoch(self.loader, self.done):
            yield batch
            self.after_batch()
