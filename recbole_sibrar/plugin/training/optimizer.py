"""Optimiser of our models, with one pass over all parameters."""

from __future__ import annotations

from collections.abc import Callable

from recbole.trainer import Trainer
from torch.optim import Optimizer

from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.plugin.training.memory import keep_freed_memory


def build_optimizer(
    original: Callable[..., Optimizer], trainer: Trainer, **kwargs: object
) -> Optimizer:
    """Build the optimiser of ``learner``, with PyTorch's fused update if there is one.

    The steps that follow keep their memory, as :func:`keep_freed_memory` says.
    """
    optimizer = original(trainer, **kwargs)
    # Other updates go over all parameters several times, which takes three times as long. RecBole's
    # own models keep theirs, since the sums differ in the last digit.
    if isinstance(trainer.model, MultimodalRecommender):
        keep_freed_memory()
        for group in optimizer.param_groups:
            if "fused" in group:
                group["fused"] = True
    return optimizer
