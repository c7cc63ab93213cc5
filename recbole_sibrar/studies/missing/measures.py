"""Evaluation of a trained model with missing modalities or values.

The experiment is that of [A], section on missing modalities.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from recbole.utils import EvaluatorType, get_trainer, init_seed
from torch import Tensor
from tqdm import tqdm

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.protocols import ConfigLike, FullConfig, LoaderLike
from recbole_sibrar.studies.missing.options import Plan

__all__ = [
    "COLUMNS",
    "MAX_MODALITIES",
    "Plan",
    "Study",
    "TieBreakingCollector",
    "Trial",
    "lost_cells",
    "share_missing",
    "shuffle_ties",
    "subsets",
    "trials",
]

MAX_MODALITIES = 5
"""Largest number of modalities for all subsets; of more, only small and large ones are tried."""

COLUMNS = (
    "model",
    "checkpoint",
    "side",
    "experiment",
    "modalities",
    "rate",
    "seed",
    "share_missing",
)
"""Columns of the study's table before the metrics."""


@dataclass(frozen=True)
class Trial:
    """One evaluation of a study."""

    experiment: Literal["subset", "loss"]
    """``subset`` hides whole modalities, ``loss`` hides single values at random."""
    names: tuple[str, ...]
    """Remaining modalities (subset), or modalities with lost values (loss)."""
    rate: float
    """Probability of the loss of a value; NaN for a subset."""
    seed: int
    """Seed of the lost values and of the order of tied items."""


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """List the subsets of modalities to evaluate, smallest first.

    Up to :data:`MAX_MODALITIES` modalities: all non-empty subsets. Beyond: each alone, all but one,
    and all.

    Example:
        >>> subsets(["text", "class"])
        [('text',), ('class',), ('text', 'class')]
    """
    n = len(names)
    sizes = range(1, n + 1) if n <= MAX_MODALITIES else (1, n - 1, n)
    found: list[tuple[str, ...]] = []
    for size in sizes:
        found += combinations(names, size)
    return found


def lost_cells(
    available: NDArray[Any], columns: Sequence[int], rate: float, seed: int
) -> NDArray[Any]:
    """Draw lost values independently among the available ones of some modalities.

    The draws of a seed are nested: a value lost at one rate is lost at every higher rate. They do
    not depend on the chosen modalities.

    Args:
        available: bool ``[n_entities, n_modalities]``.
        columns: Positions of the modalities with losses.
        rate: Probability of a loss; 1 loses everything.
        seed: Seed of the draws.

    Returns:
        bool ``[n_entities, n_modalities]``.
    """
    # A draw for every cell, also for those that cannot be lost: the others stay the same.
    draws = np.random.default_rng(seed).random(available.shape)
    lost: NDArray[np.bool_] = available & _among(columns, available.shape[1]) & (draws < rate)
    return lost


def share_missing(available: NDArray[Any], hidden: NDArray[Any], columns: Sequence[int]) -> float:
    """Compute the hidden share of the available values of some modalities.

    It is 0 without available values.

    Args:
        available: bool ``[n_entities, n_modalities]``.
        hidden: bool ``[n_entities, n_modalities]``.
        columns: Positions of the counted modalities.
    """
    there = available[:, list(columns)]
    return float((there & hidden[:, list(columns)]).sum() / max(there.sum(), 1))


def _among(columns: Sequence[int], n: int) -> NDArray[Any]:
    """bool ``[n]``: True at the given positions."""
    return np.isin(np.arange(n), list(columns))


def trials(plan: Plan, names: Sequence[str], always: Sequence[str], seed: int) -> list[Trial]:
    """List the evaluations of a study in their order.

    Args:
        plan: Hidden values.
        names: Modalities with hidden values.
        always: Other evaluated modalities, always available.
        seed: The first seed; the others follow it.

    Returns:
        First the losses, by rate, then the subsets.
    """
    found: list[Trial] = []
    for rate in sorted(set(plan.rates)):
        # Rates 0 and 1 leave nothing to chance.
        n_seeds = plan.n_seeds if 0 < rate < 1 else 1
        for i in range(n_seeds):
            found.append(Trial("loss", tuple(names), rate, seed + i))

    for subset in subsets(names):
        found.append(Trial("subset", (*always, *subset), float("nan"), seed))
    return found


def shuffle_ties(scores: Tensor, groups: Tensor, generator: torch.Generator) -> Tensor:
    """Break ties of items with the same embedding at random, anew for each user.

    Otherwise ``torch.topk`` breaks them by position, and by the last bits of scores. These bits
    depend on the position too. Ids often follow the order of the data, so this would be no neutral
    choice.

    Args:
        scores: float ``[n_users, n_items]``, -inf for items outside the candidates.
        groups: int64 ``[n_items]``: equal for items with the same embedding, numbered from 0.
        generator: Source of randomness, on the CPU.

    Returns:
        float64 ``[n_users, n_items]`` with the order of the scores, ties broken; -inf stays.
    """
    # All items of a group get its largest score, which may differ from theirs in the last bits.
    of_group = scores.new_full((len(scores), int(groups.max()) + 1), -torch.inf)
    largest = of_group.scatter_reduce(1, groups.expand_as(scores), scores, "amax")
    shared = largest[:, groups]  # [n_users, n_items]

    ordered, order = shared.sort(dim=1)
    is_larger = ordered.diff(dim=1, prepend=ordered[:, :1]) > 0
    ranks = is_larger.cumsum(1)

    # Whole numbers are the ranks of distinct scores, fractions break the ties. Drawn on the CPU, so
    # that every device has the same order; in float64, as large ranks leave float32 no fractions.
    draws = torch.rand(ranks.shape, generator=generator, dtype=torch.float64).to(scores.device)
    keys = torch.empty_like(draws).scatter_(1, order, ranks + draws)
    return keys.masked_fill(scores == -torch.inf, -torch.inf)


class TieBreakingCollector(Collector):
    """RecBole's collector, for rankings with tied items in random order.

    Args:
        config: RecBole's ``Config``.
    """

    def __init__(self, config: ConfigLike) -> None:
        super().__init__(config)
        self.ranks = config["eval_type"] == EvaluatorType.RANKING

    def restart(self, items: Tensor, seed: int) -> None:
        """Prepare for an evaluation.

        Args:
            items: float ``[n_items, k]``, embeddings of the items.
            seed: Seed of the order of tied items.
        """
        self.groups = torch.unique(items, dim=0, return_inverse=True)[1]  # [n_items]
        self.has_ties = int(self.groups.max()) + 1 < len(items)
        self.generator = torch.Generator().manual_seed(seed)

    def eval_batch_collect(
        self,
        scores_tensor: Tensor,
        interaction: Interaction,
        positive_u: Tensor,
        positive_i: Tensor,
    ) -> None:
        """Collect a batch; scores stay as they are without ties, and for metrics of values."""
        if self.ranks and self.has_ties:
            scores_tensor = shuffle_ties(scores_tensor, self.groups, self.generator)
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)


class Study:
    """Evaluation of one trained model with hidden values, through RecBole's trainer.

    Args:
        config: RecBole's ``Config`` of the model, with metrics, splits and candidates of the study.
        model: The trained model.
        train_data: RecBole's loader of the training part, the source of popularity.
        test_data: RecBole's loader of the part to evaluate.
        plan: Hidden values.

    Raises:
        ConfigError: The model does not evaluate a modality of the plan.
    """

    def __init__(
        self,
        config: FullConfig,
        model: MultimodalRecommender,
        train_data: LoaderLike,
        test_data: LoaderLike,
        plan: Plan | None = None,
    ) -> None:
        self.plan = plan or Plan()
        # A copy, because the model keeps its own configuration.
        self.config = deepcopy(config)
        # A study is no run of its own.
        for key in ("log_wandb", "save_per_user"):
            self.config[key] = None
        self.model = model.eval()
        self.test_data = test_data

        encoder = model.encoder_of(self.plan.side)
        self.evaluated = tuple(encoder.modalities[column] for column in encoder.eval_columns)
        names = self.plan.modalities or self.evaluated
        for name in names:
            if name not in self.evaluated:
                known = ", ".join(self.evaluated)
                side = self.plan.side
                allowed = f"any of {known}, the {side} modalities that the model evaluates"
                refuse("modalities", name, f"{allowed}{nearest(name, self.evaluated)}")

        self.columns = encoder.columns_of(names)
        always = [name for name in self.evaluated if name not in names]
        self.trials = trials(self.plan, names, always, config["seed"])
        self.encoder = encoder
        self.available = encoder.availability.cpu().numpy()

        self.collector = TieBreakingCollector(self.config)
        # Metrics of popularity need the counts, which RecBole collects in fit.
        self.collector.data_collect(train_data)
        self.trainer = get_trainer(config["MODEL_TYPE"], config["model"])(self.config, model)
        # RecBole's trainer makes a collector of its own.
        self.trainer.eval_collector = self.collector

    def hidden_cells(self, trial: Trial) -> NDArray[Any]:
        """Hidden values of an evaluation: bool ``[n_entities, n_modalities]``."""
        if trial.experiment == "loss":
            return lost_cells(self.available, self.columns, trial.rate, trial.seed)

        left = self.encoder.columns_of(trial.names)
        n_modalities = self.available.shape[1]
        is_hidden = _among(self.columns, n_modalities) & ~_among(left, n_modalities)
        cells: NDArray[np.bool_] = self.available & is_hidden
        return cells

    def evaluate(self, trial: Trial) -> dict[str, Any]:
        """Evaluate once.

        Args:
            trial: Hidden values.

        Returns:
            A row of the study's table: :data:`COLUMNS` without model and checkpoint, then every
            metric.
        """
        hidden = self.hidden_cells(trial)
        # The same sampled candidates every time.
        init_seed(self.config["seed"], self.config["reproducibility"])

        with self.model.hiding(self.plan.side, torch.from_numpy(hidden)):
            self.collector.restart(self.model.encode_items(), trial.seed)
            metrics = self.trainer.evaluate(self.test_data, load_best_model=False)

        return {
            "side": self.plan.side,
            "experiment": trial.experiment,
            "modalities": "+".join(trial.names),
            "rate": trial.rate,
            "seed": trial.seed,
            "share_missing": share_missing(self.available, hidden, self.columns),
            **metrics,
        }

    def run(self, checkpoint: str = "", progress: bool = False) -> pd.DataFrame:
        """Run all evaluations, one after the other.

        Args:
            checkpoint: Name of the model's file, for the table and the progress bar.
            progress: True for a progress bar on a terminal.

        Returns:
            One row for each evaluation: :data:`COLUMNS`, then every metric of the configuration.
        """
        about = {"model": self.config["model"], "checkpoint": checkpoint}
        # None shows the bar on a terminal only.
        disable = None if progress else True
        rows = []
        for trial in tqdm(self.trials, os.path.basename(checkpoint), leave=False, disable=disable):
            rows.append({**about, **self.evaluate(trial)})
        return pd.DataFrame(rows)
