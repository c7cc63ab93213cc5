"""Approximate search: nearly the exact result, with the same items left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.serving import Recommender
from recbole_sibrar.serving.bundle.reading import read
from recbole_sibrar.serving.bundle.writing import write
from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.index import INDEXES, ItemIndex, build, load, save
from recbole_sibrar.serving.search import Search

pytest.importorskip("faiss")


@pytest.fixture(scope="module", params=INDEXES)
def built(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor, ItemIndex]:
    random = torch.Generator().manual_seed(0)
    items = torch.randn(3000, 16, generator=random)
    users = torch.randn(30, 16, generator=random)
    return items, users, build(request.param, items, users)


def test_recall(built: Any) -> None:
    items, users, index = built
    catalogue = Catalogue.of(items)
    found = Search(catalogue, index=index).rank(users, 20, None)
    exact = Search(catalogue).rank(users, 20, None)
    shares = [len(set(a) & set(b)) / 20 for a, b in zip(found.numbers, exact.numbers, strict=True)]
    assert np.mean(shares) >= 0.95
    assert (np.diff(found.scores) <= 0).all()


def test_changes_count(built: Any) -> None:
    items, users, index = built
    catalogue = Catalogue.of(items)
    best = int(catalogue.rank(users[:1], 1).numbers[0, 0])
    seen = [catalogue.rank(users[:1], 3).numbers[0, 1:]]
    changed = catalogue.put(np.array([3000, best]), torch.stack([users[0] * 100, -users[0]]))
    found = Search(changed, index=index).rank(users[:1], 10, seen)
    exact = Search(changed).rank(users[:1], 10, seen)
    assert found.numbers[0, 0] == 3000
    assert not {best, *seen[0]} & set(found.numbers[0].tolist())
    assert len(set(found.numbers[0].tolist()) & set(exact.numbers[0].tolist())) >= 9

    removed = changed.remove(np.array([3000]))
    assert 3000 not in Search(removed, index=index).rank(users[:1], 10, None).numbers


def test_saved_indexes(built: Any, tmp_path: Path) -> None:
    _, users, index = built
    save(index, tmp_path / "index.faiss")
    again = load(tmp_path / "index.faiss", 3000, 16)
    nothing = np.zeros(0, dtype=np.int64)
    assert set(again.candidates(users[0], 5, nothing)) == set(
        index.candidates(users[0], 5, nothing)
    )
    with pytest.raises(PortableModelError, match="found 3000 vectors of length 16"):
        load(tmp_path / "index.faiss", 2999, 16)
    # a file of its own: the other one is still mapped, and changing it would end the process
    (tmp_path / "damaged.faiss").write_bytes(b"IxSQ" + bytes(100))
    with pytest.raises(PortableModelError, match=r"damaged|allowed is an index"):
        load(tmp_path / "damaged.faiss", 3000, 16)


def test_a_model_with_index(portable: Path, model: Recommender, tmp_path: Path) -> None:
    content = read(portable)
    write(replace(content, manifest=replace(content.manifest, index="ivf")), tmp_path / "indexed")
    found = Recommender.load(tmp_path / "indexed").recommend(["u1", "u2"], k=5)
    assert found["item"].tolist() == model.recommend(["u1", "u2"], k=5)["item"].tolist()
