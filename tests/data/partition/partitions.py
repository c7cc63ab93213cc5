"""Parts of a cold-start split written to files, read again in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

MakeConfig = Callable[..., Config]
Pairs = list[set[tuple[str, str]]]

PARTS = ("train", "valid", "test")


def cold(group_by: str) -> dict[str, Any]:
    return {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": group_by}


WARM = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO"}
READ = ["train", "valid", "test"]


def parts_of(config: Config) -> list[Any]:
    """RecBole's steps up to the parts of the data set, which are also written where the configuration says so."""
    init_seed(config["seed"], config["reproducibility"])
    return [loader._dataset for loader in data_preparation(config, create_dataset(config))]


def pairs_of(parts: list[Any]) -> Pairs:
    """Original ids of the pairs of user and item in each part."""

    def tokens(part: Any, name: str) -> list[str]:
        return list(part.field2id_token[name][part.inter_feat[name].numpy()])

    return [
        set(zip(tokens(part, "user_id"), tokens(part, "item_id"), strict=True)) for part in parts
    ]


def rows(file: Path, separator: str = "\t") -> list[list[str]]:
    """The lines of an atomic file below its header, in cells."""
    return [line.split(separator) for line in file.read_text(encoding="utf-8").splitlines()[1:]]


def pairs_in(folder: Path, name: str = "tiny") -> Pairs:
    return [{(row[0], row[1]) for row in rows(folder / f"{name}.{part}.inter")} for part in PARTS]


def numbering(parts: list[Any]) -> list[list[str]]:
    return [list(parts[0].field2id_token[name]) for name in ("user_id", "item_id")]


def shuffle_lines(file: Path) -> None:
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    order = np.random.default_rng(3).permutation(len(lines))
    file.write_text("\n".join([header, *(lines[n] for n in order)]) + "\n", encoding="utf-8")
