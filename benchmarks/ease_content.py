"""Validation and test nDCG@10 of EASEContent for new items over its penalties: ``python benchmarks/ease_content.py``.

The formula is solved for the held-out items of the part alone, once for each pair of penalties, so that a whole grid
takes as long as one or two runs. The results equal those of ``run_recbole`` with the same keys.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed
from scipy.linalg import cho_factor, cho_solve

import recbole_sibrar  # noqa: F401 - registers the plugin
from recbole_sibrar.model.baselines import EASEContent
from recbole_sibrar.model.baselines.ease import item_factors

K = 10
"""Length of the lists."""


class Content(EASEContent):
    """EASEContent with its interactions and content, before the closed form."""

    def fit(self, config: Any, dataset: Any) -> None:
        """Compute nothing."""


def main() -> None:
    """Print a row for each seed and setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--seeds", nargs="+", type=int, default=[2020])
    parser.add_argument(
        "--scalings", nargs="+", default=["none", "standard"], help="values of normalize_vectors"
    )
    parser.add_argument("--kernels", nargs="+", default=["exponential"])
    parser.add_argument("--reg_weights", nargs="+", type=float, default=[250, 500])
    parser.add_argument("--ridge_weights", nargs="+", type=float, default=[0.1, 0.3, 1, 3])
    parser.add_argument("--keys", type=json.loads, default={}, help="further keys, as JSON")
    args = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole would read them again

    print("| seed | scaling | kernel | ridge_weight | reg_weight | validation | test |")
    print("|---|---|---|---|---|---|---|")
    for seed in args.seeds:
        for scaling in args.scalings:
            model, parts = load(
                args.dataset, {**args.keys, "seed": seed, "normalize_vectors": scaling}
            )
            for kernel in args.kernels:
                for ridge, reg, found in results(
                    model, parts, kernel, args.ridge_weights, args.reg_weights
                ):
                    scores = " | ".join(f"{score:.4f}" for score in found)
                    print(
                        f"| {seed} | {scaling} | {kernel} | {ridge:g} | {reg:g} | {scores} |",
                        flush=True,
                    )


def load(dataset: str, keys: dict[str, Any]) -> tuple[Content, list[tuple[np.ndarray, np.ndarray]]]:
    """Load the data of an item cold start, and return the held-out users and items of validation and test."""
    given = {"show_progress": False, "state": "ERROR", **keys}
    config = Config("EASEContent", dataset, config_file_list=["cold_start_item"], config_dict=given)
    init_seed(config["seed"], True)
    train, *held_out = data_preparation(config, create_dataset(config))

    fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
    pairs = [
        tuple(loader._dataset.inter_feat[field].numpy() for field in fields) for loader in held_out
    ]
    return Content(config, train.dataset), pairs


def results(
    model: Content,
    parts: list[tuple[np.ndarray, np.ndarray]],
    form: str,
    ridges: list[float],
    regs: list[float],
) -> Iterator[tuple[float, float, list[float]]]:
    """Yield both penalties, and the nDCG@10 of each part."""
    known = model.known("item")
    profiles = model.interactions[:, known]
    kernel = model.kernel("item", form)
    of_known = kernel.between(known, known)
    candidates = [np.unique(items) for _, items in parts]
    to_known = [kernel.between(own, known) for own in candidates]
    factors = {reg: item_factors(profiles, reg, None, model.seed)[1] for reg in regs}

    for ridge in ridges:
        solved = cho_factor(of_known + ridge * np.eye(len(known)), overwrite_a=True)
        weights = [cho_solve(solved, similarities.T).T for similarities in to_known]
        for reg, targets in factors.items():
            mean = targets.mean(axis=0)
            predicted = [own @ (targets - mean) + mean for own in weights]
            found = [
                ndcg(np.asarray(profiles @ new.T), own, *pairs)
                for new, own, pairs in zip(predicted, candidates, parts, strict=True)
            ]
            yield ridge, reg, found


def ndcg(scores: np.ndarray, candidates: np.ndarray, users: np.ndarray, items: np.ndarray) -> float:
    """Compute the mean nDCG@10 of the users with held-out items.

    Args:
        scores: ``[n_users, n_candidates]``.
        candidates: Ascending ids of the candidates.
        users: User of each held-out pair.
        items: Item of each held-out pair.
    """
    relevant = np.zeros(scores.shape, dtype=bool)
    relevant[users, np.searchsorted(candidates, items)] = True
    evaluated = relevant.any(axis=1)
    scores, relevant = scores[evaluated], relevant[evaluated]

    lists = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    hits = np.take_along_axis(relevant, lists, axis=1)
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.cumsum(discounts)[np.minimum(relevant.sum(axis=1), hits.shape[1]) - 1]
    return float(((hits * discounts).sum(axis=1) / best).mean())


if __name__ == "__main__":
    main()
