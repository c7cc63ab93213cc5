"""What a trained model is worth when modalities or single values are missing ([A], section on missing modalities)."""

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
from recbole.evaluator import Collector
from recbole.utils import EvaluatorType, get_trainer, init_seed
from torch import Tensor
from tqdm import tqdm

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import Side

MAX_MODALITIES = 5
"""Up to so many modalities every subset is evaluated, beyond only the largest and the smallest."""

COLUMNS = ("model", "checkpoint", "side", "experiment", "modalities", "rate", "seed", "share_missing")
"""Columns of the study's table that come before the metrics."""


@dataclass(frozen=True)
class Plan:
    """What a study hides."""

    side: Side = "item"
    """Whose values are hidden."""
    modalities: tuple[str, ...] | None = None
    """Modalities that values are lost of and that subsets are made of; None for all of the evaluation's."""
    rates: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Probabilities, from 0 to 1, with which an available value is lost."""
    n_seeds: int = 5
    """Draws of the lost values at each rate between 0 and 1."""


@dataclass(frozen=True)
class Trial:
    """One evaluation of a study."""

    experiment: Literal["subset", "loss"]
    """Whether whole modalities are hidden, or single values at random."""
    names: tuple[str, ...]
    """The modalities that are left (subset), or whose values are lost (loss)."""
    rate: float
    """Probability with which a value is lost; NaN for a subset."""
    seed: int
    """Seed of the lost values and of the order of tied items."""


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The subsets of modalities that a model is evaluated with, smallest first.

    All that are not empty; of more than :data:`MAX_MODALITIES` modalities only each alone, all but one, and all.

    Example:
        >>> subsets(["text", "class"])
        [('text',), ('class',), ('text', 'class')]
    """
    n = len(names)
    sizes = range(1, n + 1) if n <= MAX_MODALITIES else (1, n - 1, n)
    return [subset for size in sizes for subset in combinations(names, size)]


def lost_cells(available: NDArray[Any], columns: Sequence[int], rate: float, seed: int) -> NDArray[Any]:
    """Draw which values are lost: each available one of some modalities, independently.

    The draws of a seed are nested: what is lost at a rate is lost at every higher one. They do not depend on the
    modalities that are chosen.

    Args:
        available: bool ``[n_entities, n_modalities]``.
        columns: Positions of the modalities that lose values.
        rate: Probability of a loss; 1 loses everything.
        seed: Seed of the draws.

    Returns:
        bool ``[n_entities, n_modalities]``.
    """
    draws = np.random.default_rng(seed).random(available.shape)
    return available & _among(columns, available.shape[1]) & (draws < rate)


def share_missing(available: NDArray[Any], hidden: NDArray[Any], columns: Sequence[int]) -> float:
    """Share of the available values of some modalities that are hidden; 0 where there are none.

    Args:
        available: bool ``[n_entities, n_modalities]``.
        hidden: bool ``[n_entities, n_modalities]``.
        columns: Positions of the modalities that count.
    """
    there = available[:, list(columns)]
    return float((there & hidden[:, list(columns)]).sum() / max(there.sum(), 1))


def _among(columns: Sequence[int], n: int) -> NDArray[Any]:
    """bool ``[n]``: True at the given positions."""
    return np.isin(np.arange(n), list(columns))


def trials(plan: Plan, names: Sequence[str], always: Sequence[str], seed: int) -> list[Trial]:
    """The evaluations of a study, in the order in which they are made.

    Args:
        plan: What is hidden.
        names: The modalities that can be hidden.
        always: The modalities that are evaluated too and always available.
        seed: The first seed; the others follow it.

    Returns:
        First the losses, by rate, then the subsets. Rates 0 and 1 leave nothing to chance and have one seed.
    """
    found: list[Trial] = []
    for rate in sorted(set(plan.rates)):
        n_seeds = plan.n_seeds if 0 < rate < 1 else 1
        found += [Trial("loss", tuple(names), rate, seed + i) for i in range(n_seeds)]
    return found + [Trial("subset", (*always, *subset), float("nan"), seed) for subset in subsets(names)]


def shuffle_ties(scores: Tensor, groups: Tensor, generator: torch.Generator) -> Tensor:
    """Rank items so that those with the same embedding stand in random order, drawn for each user anew.

    Otherwise ``torch.topk`` decides between them, by position and by the last bits of their scores, which depend on the
    position too; as ids often follow the order of the data, that is not a neutral choice.

    Args:
        scores: float ``[n_users, n_items]``, -inf for items that are no candidates.
        groups: int64 ``[n_items]``: equal for items with the same embedding, numbered from 0.
        generator: Source of randomness, on the CPU.

    Returns:
        float64 ``[n_users, n_items]`` with the order of the scores, ties broken; -inf where scores are.
    """
    of_group = scores.new_full((len(scores), int(groups.max()) + 1), -torch.inf)
    shared = of_group.scatter_reduce(1, groups.expand_as(scores), scores, "amax")[:, groups]
    ordered, order = shared.sort(dim=1)
    ranks = (ordered.diff(dim=1, prepend=ordered[:, :1]) > 0).cumsum(1)
    draws = torch.rand(ranks.shape, generator=generator, dtype=torch.float64).to(scores.device)
    keys = torch.empty_like(draws).scatter_(1, order, ranks + draws)
    return keys.masked_fill(scores == -torch.inf, -torch.inf)


class TieBreakingCollector(Collector):
    """RecBole's collector of what metrics need, for rankings in which tied items stand in random order.

    Args:
        config: RecBole's ``Config``.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.ranks = config["eval_type"] == EvaluatorType.RANKING

    def restart(self, items: Tensor, seed: int) -> None:
        """Prepare for an evaluation.

        Args:
            items: float ``[n_items, k]``, the embeddings that it scores.
            seed: Seed of the order of items with the same embedding.
        """
        self.groups = torch.unique(items, dim=0, return_inverse=True)[1]
        self.has_ties = int(self.groups.max()) + 1 < len(items)
        self.generator = torch.Generator().manual_seed(seed)

    def eval_batch_collect(
        self, scores_tensor: Tensor, interaction: Any, positive_u: Tensor, positive_i: Tensor
    ) -> None:
        """Collect a batch; scores are left as they are where no item is tied, or where values count, not ranks."""
        if self.ranks and self.has_ties:
            scores_tensor = shuffle_ties(scores_tensor, self.groups, self.generator)
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)


class Study:
    """Evaluates one trained model with hidden values, through RecBole's trainer and without training it.

    Args:
        config: RecBole's ``Config`` of the model; its metrics, splits and candidates are the study's.
        model: The trained model.
        train_data: RecBole's loader of the training part, which some metrics ask for popularity.
        test_data: RecBole's loader of the part to evaluate.
        plan: What is hidden.

    Raises:
        ConfigError: The plan names a modality that the model does not evaluate.
    """

    def __init__(
        self, config: Any, model: MultimodalRecommender, train_data: Any, test_data: Any, plan: Plan | None = None
    ) -> None:
        self.plan = plan or Plan()
        self.config = deepcopy(config)
        for key in ("log_wandb", "save_per_user"):  # a study is no run of its own
            self.config[key] = None
        self.model, self.test_data = model.eval(), test_data
        encoder = model.encoder_of(self.plan.side)
        self.evaluated = tuple(encoder.modalities[column] for column in encoder.eval_columns)
        names = self.plan.modalities or self.evaluated
        for name in names:
            if name not in self.evaluated:
                allowed = (
                    f"any of {', '.join(self.evaluated)}, the {self.plan.side} modalities that the model evaluates"
                )
                refuse("modalities", name, f"{allowed}{nearest(name, self.evaluated)}")
        self.columns = encoder.columns_of(names)
        always = [name for name in self.evaluated if name not in names]
        self.trials = trials(self.plan, names, always, config["seed"])
        self.encoder, self.available = encoder, encoder.availability.cpu().numpy()
        self.collector = TieBreakingCollector(self.config)
        self.collector.data_collect(train_data)
        self.trainer = get_trainer(config["MODEL_TYPE"], config["model"])(self.config, model)
        self.trainer.eval_collector = self.collector

    def hidden_cells(self, trial: Trial) -> NDArray[Any]:
        """bool ``[n_entities, n_modalities]``: the values that an evaluation hides."""
        if trial.experiment == "loss":
            return lost_cells(self.available, self.columns, trial.rate, trial.seed)
        left = self.encoder.columns_of(trial.names)
        return self.available & _among([x for x in self.columns if x not in left], self.available.shape[1])

    def evaluate(self, trial: Trial) -> dict[str, Any]:
        """Evaluate once.

        Args:
            trial: What is hidden.

        Returns:
            A row of the study's table: :data:`COLUMNS` without model and checkpoint, then every metric.
        """
        hidden = self.hidden_cells(trial)
        init_seed(self.config["seed"], self.config["reproducibility"])  # sampled candidates are the same every time
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
        """Make all evaluations, one after the other.

        Args:
            checkpoint: Name of the model's file, for the table and the progress bar.
            progress: Whether to show a progress bar, on a terminal.

        Returns:
            One row for each evaluation: :data:`COLUMNS`, then every metric of the configuration.
        """
        about = {"model": self.config["model"], "checkpoint": checkpoint}
        bar = tqdm(self.trials, os.path.basename(checkpoint), leave=False, disable=None if progress else True)
        return pd.DataFrame([{**about, **self.evaluate(trial)} for trial in bar])
