"""Script of the tests of several processes: ``python several_processes.py OUTPUT DATA_PATH N`` starts N of them.

Each process writes its results to ``OUTPUT.RANK``.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import InputType, get_model, get_trainer, init_logger, init_seed

import recbole_sibrar

N_POSITIVES = 24

SAME = {"modality_sampling": False, "contrastive": "none", "user_modalities": "auto"}
CENTRAL = {
    "modality_sampling": False,
    "item_modalities": ["interactions", "text"],
    "item_contrastive": "central",
    "item_central_modality": "text",
    "user_contrastive": "none",
    "contrastive_weight": 1.0,
    "temperature": 0.5,
}
GRADIENTS: dict[str, dict[str, Any]] = {
    "SiBraR": SAME,
    "SiBraR, batch norm everywhere": {
        **SAME,
        "batch_norm": 1,
        "branch_hidden_sizes": [16, 8],
        "loss_type": "BPR",
    },
    "SiBraR, contrast in a sample": {**CENTRAL, "item_contrastive_scope": "sample"},
    "SiBraR, contrast in the batch": {**CENTRAL, "item_contrastive_scope": "batch"},
    "SiBraR, a modality that hardly anyone has": {**SAME, "item_modalities": ["rare", "text"]},
    "MuBraR": {**SAME, "model": "MuBraR", "item_modalities": ["rare", "text"]},
    "DropoutNet": {"model": "DropoutNet", "preference_dropout_prob": 0.0, "batch_norm": "last"},
    "CLCRec": {"model": "CLCRec", "replacement_prob": 0.0, "batch_norm": "last"},
    "BPR": {"model": "BPR"},
    "NFM": {
        "model": "NFM",
        "dropout_prob": 0.0,
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 2},
    },
}
"""Configurations without random numbers in a step."""

RANKING = [
    *("Recall", "MRR", "NDCG", "Hit", "Precision", "MAP", "GAUC"),
    *("ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage"),
    *("Coverage", "Gini", "APLT", "ARP", "Novelty", "ILD", "UserCalibration", "PopREO", "PopRSP"),
]

MIXED = {"CS": [0.6, 0.2, 0.2], "warm": [0.6, 0.2, 0.2]}

EVALUATIONS: dict[str, dict[str, Any]] = {
    "one batch": {"eval_batch_size": 10**6},
    "a user at a time": {"eval_batch_size": 1},
    "cold start": {
        "eval_args": {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item", "mode": "full"}
    },
    "warm and cold items": {"eval_args": {"split": MIXED, "group_by": "item", "mode": "full"}},
    # new users have the highest ids: the first process has none of them
    "warm and cold users": {
        "eval_args": {"split": MIXED, "group_by": "user", "mode": "full"},
        "eval_batch_size": 90,
    },
    "sampled": {
        "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "mode": "uni5"},
        "worker": 2,
    },
    "BPR": {"model": "BPR"},
    "BPR sampled": {
        "model": "BPR",
        "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "mode": "pop5"},
    },
    "values": {
        "model": "NFM",
        "metrics": ["AUC", "LogLoss", "RMSE", "MAE"],
        "valid_metric": "AUC",
        "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "mode": "labeled"},
        "threshold": {"rating": 3},
        "train_neg_sample_args": None,
    },
}

TRAININGS: dict[str, dict[str, Any]] = {
    "SiBraR": {"dropout_prob": 0.2, "user_modalities": "auto"},
    "SiBraR, sampled evaluation": {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "mode": "uni5"}},
    "Pop": {"model": "Pop"},
    "ItemKNN": {"model": "ItemKNN"},
    "LightGCN": {"model": "LightGCN"},
    "MultiVAE": {"model": "MultiVAE", "train_neg_sample_args": None},
    "GRU4Rec": {
        "model": "GRU4Rec",
        "train_neg_sample_args": None,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    },
}


def prepare(data_path: str, model: str = "SiBraR", **overrides: Any) -> tuple[Any, ...]:
    """RecBole's steps up to the trainer."""
    settings: dict[str, Any] = {
        "data_path": data_path,
        "load_col": None,
        "show_progress": False,
        "state": "ERROR",
        "epochs": 2,
        "train_batch_size": 512,
        "preference_size": 8,
        **PROCESSES,
    }
    if model not in recbole_sibrar.MODELS:
        settings["load_col"] = {"inter": ["user_id", "item_id", "rating", "timestamp"]}

    config = Config(model, "tiny", config_dict={**settings, **overrides})
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)

    loaders = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    recommender = get_model(model)(config, loaders[0]._dataset)
    return config, get_trainer(config["MODEL_TYPE"], model)(config, recommender), *loaders


PROCESSES: dict[str, Any] = {}


def batch(config: Config, dataset: Any, rank: int, n_ranks: int) -> Interaction:
    """A rank's rows of a fixed batch."""
    rng = np.random.default_rng(3)
    rows = rng.permutation(len(dataset))[:N_POSITIVES]
    n = config["train_neg_sample_args"]["sample_num"]
    negatives = torch.from_numpy(rng.integers(1, dataset.item_num, size=(n, N_POSITIVES)))[
        :, rank::n_ranks
    ]
    positives = dataset.inter_feat[rows[rank::n_ranks]]
    users, items = positives[dataset.uid_field], positives[dataset.iid_field]
    if config["MODEL_INPUT_TYPE"] is InputType.PAIRWISE:
        columns = {
            "user_id": users.repeat(n),
            "item_id": items.repeat(n),
            "neg_item_id": negatives.flatten(),
        }
    else:
        labels = torch.cat([torch.ones(len(items)), torch.zeros(negatives.numel())])
        columns = {
            "user_id": users.repeat(1 + n),
            "item_id": torch.cat([items, negatives.flatten()]),
            "label": labels,
        }
    return Interaction(columns)


def gradients(
    rank: int, n_ranks: int, data_path: str, overrides: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """The gradient of one step, and the running statistics of batch norm after it."""
    config, trainer, train, *_ = prepare(data_path, **overrides)
    model = trainer.model.train()
    nothing = 0
    if n_ranks > 1:
        trainer.set_reduce_hook()
        nothing = trainer.sync_grad_loss()
    losses = model.calculate_loss(batch(config, train._dataset, rank, n_ranks))
    (sum(losses) if isinstance(losses, tuple) else losses).add(nothing).backward()
    found = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return {
        **found,
        **{name: value.clone() for name, value in model.named_buffers() if "running" in name},
    }


def evaluation(data_path: str, overrides: dict[str, Any]) -> dict[str, float]:
    """Metrics of an untrained model."""
    defaults = {
        "metrics": RANKING,
        "topk": [3, 10],
        "ild_modality": "text",
        "calibration_field": "tags",
    }
    if overrides.get("model") in ("BPR", "NFM"):
        defaults["metrics"] = RANKING[:14]
    settings = {**defaults, "eval_groups": {"popularity": "item"}, **overrides}
    if overrides.get("valid_metric") == "AUC":
        settings["eval_groups"] = None
    if not PROCESSES:
        settings["worker"] = (
            0  # workers draw negatives of their own; several processes do without them
        )
    _, trainer, _, _, test = prepare(data_path, **settings)
    return dict(trainer.evaluate(test, load_best_model=False))


def training(data_path: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """All results of a training."""
    config, trainer, train, valid, test = prepare(data_path, **overrides)
    score, result = trainer.fit(train, valid)
    seen = (
        [[int(user) for user in part["user_id"]] for part in train]
        if config.model == "SiBraR"
        else []
    )
    return {
        "file": trainer.saved_model_file,
        "score": score,
        "valid": dict(result),
        "losses": trainer.train_loss_dict,
        "last": {name: value.clone() for name, value in trainer.model.state_dict().items()},
        "test": dict(trainer.evaluate(test)),
        "seen": seen,
        "random": torch.rand(3),
    }


def main(rank: int, output: str, data_path: str, n_ranks: int, port: int) -> None:
    """Run everything in one of the processes."""
    sys.argv = sys.argv[:1]
    if n_ranks > 1:
        PROCESSES.update(
            local_rank=rank,
            offset=0,
            world_size=n_ranks,
            nproc=n_ranks,
            ip="localhost",
            port=port,
            gpu_id="",
        )
    found = {
        "gradients": {
            name: gradients(rank, n_ranks, data_path, keys) for name, keys in GRADIENTS.items()
        },
        "evaluations": {name: evaluation(data_path, keys) for name, keys in EVALUATIONS.items()},
        "trainings": {name: training(data_path, keys) for name, keys in TRAININGS.items()},
    }
    torch.save(found, f"{output}.{rank}")


if __name__ == "__main__":
    path, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if count == 1:
        main(0, path, folder, 1, 0)
    else:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            chosen = free.getsockname()[1]
        torch.multiprocessing.spawn(main, (path, folder, count, chosen), nprocs=count)
