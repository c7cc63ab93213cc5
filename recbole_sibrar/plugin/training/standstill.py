"""Warning about a training without progress: its loss or its validation stands still."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_sibrar.protocols import TrainerLike
from recbole_sibrar.trainer.training_state import training_state

__all__ = ["N_EPOCHS", "check_progress", "stands_still"]

N_EPOCHS = 5
"""Number of equal values in a row from which on they are a warning."""

_TOLERANCE = 1e-5
"""Largest difference of equal losses, as a share of their size."""


def stands_still(values: Sequence[float], tolerance: float = 0.0) -> bool:
    """Tell whether the last values are equal.

    Args:
        values: In their order.
        tolerance: Largest difference of equal values, as a share of their size.

    Example:
        >>> stands_still([0.3, 0.1, 0.1, 0.1, 0.1, 0.1]), stands_still([0.1, 0.1, 0.1])
        (True, False)
    """
    last = values[-N_EPOCHS:]
    if len(last) < N_EPOCHS:
        return False
    return max(last) - min(last) <= tolerance * max(map(abs, last))


def check_progress(trainer: TrainerLike, score: float) -> None:
    """Note the result of a validation, and warn once if it, or the training loss, stands still.

    Args:
        trainer: RecBole's trainer, after an epoch of training.
        score: Value of ``valid_metric``.
    """
    state = training_state(trainer)
    state.valid_scores.append(float(score))
    by_epoch = sorted(trainer.train_loss_dict.items())
    losses = [_total(loss) for _, loss in by_epoch]

    standing: dict[str, float] = {}
    if stands_still(losses, _TOLERANCE):
        standing["training loss"] = losses[-1]
    if stands_still(state.valid_scores):
        standing[trainer.config["valid_metric"]] = state.valid_scores[-1]

    # once for each combination
    key = f"standstill {sorted(standing)}"
    if not standing or key in state.warnings:
        return

    state.warnings.add(key)
    values = " and ".join(f"{name} {value:.4f}" for name, value in standing.items())
    trainer.logger.warning(
        f"no change for {N_EPOCHS} epochs: {values}; very large inputs (normalize_vectors: "
        "standard scales vectors) or a learning_rate that does not fit can be the reason"
    )


def _total(loss: float | tuple[float, ...]) -> float:
    """Sum the parts of a loss; RecBole keeps a single one as a number."""
    return float(sum(loss)) if isinstance(loss, tuple) else float(loss)
