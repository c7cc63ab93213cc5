"""Vectors that are missing in a file: its matrix in memory has rows of NaN, the first one here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_sibrar.names import OWN_MODELS

COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}


@pytest.fixture(autouse=True)
def first_item_has_no_vector(tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    header, first, *rest = file.read_text().splitlines()
    assert header.split("\t")[-1] == "text:float_seq"
    first = first.rpartition("\t")[0] + "\t"
    file.write_text("\n".join([header, first, *rest]) + "\n")


@pytest.mark.parametrize("scaling", ["none", "l2", "standard"])
@pytest.mark.parametrize("name", OWN_MODELS)
def test_scores_are_numbers(make_model: Callable[..., Any], name: str, scaling: str) -> None:
    # a quarter of the items have no text
    load_col = {"inter": ["user_id", "item_id"], "item": ["item_id", "tags", "text"]}
    keys = {"eval_args": COLD, "load_col": load_col, "normalize_vectors": scaling}
    if name == "GenreAffinity":
        keys.pop("normalize_vectors")
    _, model, *_ = make_model(model=name, **keys)

    users = Interaction({"user_id": torch.arange(1, model.n_users)})
    scores = model.eval().full_sort_predict(users).view(len(users), -1)[:, 1:]
    assert bool(scores.isfinite().all())


def test_missing_vectors_are_like_none(make_model: Callable[..., Any]) -> None:
    load_col = {"inter": ["user_id", "item_id"], "item": ["item_id", "text"]}
    _, model, *_ = make_model(model="ContentKNN", eval_args=COLD, load_col=load_col)
    kernel = model.kernel("item")
    rows = np.asarray(kernel.blocks[0].rows)
    lengths = np.linalg.norm(rows, axis=1)
    assert sorted(set(lengths.round(5))) == [0, 1]
    assert (lengths == 0).sum() > 5
