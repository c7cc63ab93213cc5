"""Approximate search over many items with faiss, by inner product."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.errors import ConfigError, PortableModelError, one_line, refuse

__all__ = ["INDEXES", "ItemIndex", "build", "load", "load_faiss", "save"]

INDEXES = ("hnsw", "ivf")
"""Kinds: a graph of neighbours (fast, slow to build), or lists of similar items (small)."""

_ENOUGH_RECALL = 0.97
"""Share of the 20 best items among the candidates that the search is tuned to."""

_CUTOFF = 20
_TUNING_USERS = 200
_TRAINING_ITEMS = 200_000
_FACTOR = 4
"""Candidates for each result; they are scored exactly."""


def load_faiss() -> ModuleType:
    """Import faiss.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise ConfigError(
            "an index needs faiss, which is not installed; pip install 'recbole-sibrar[serve]'"
        ) from None
    module: ModuleType = faiss
    return module


class ItemIndex:
    """Index of the items of a portable model.

    Args:
        index: faiss's index; its search effort is set.
        owner: Object that frees the index at its end; None if the index does so itself.
    """

    def __init__(self, index: Any, owner: Any = None) -> None:
        self._faiss = load_faiss()
        self._owner = owner
        self.index = index

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def candidates(self, user: Tensor, k: int, excluded: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find candidates for the best items of a user.

        Args:
            user: float32 ``[d]``: embedding of the user.
            k: Number of results that are asked for.
            excluded: int64 ``[m]``: numbers of items that do not compete.

        Returns:
            int64 ``[c]``: numbers of the candidates, at most ``4 * k``.
        """
        wanted = min(_FACTOR * max(k, _CUTOFF), len(self))
        parameters = self._parameters(excluded)
        _, numbers = self.index.search(user.numpy()[None], wanted, params=parameters)
        found: NDArray[np.int64] = numbers[0]
        return found[found >= 0]

    def _parameters(self, excluded: NDArray[np.int64]) -> Any:
        """Leave items out of a search."""
        if not len(excluded):
            return None
        left_out = self._faiss.IDSelectorBatch(np.ascontiguousarray(excluded))
        selector = self._faiss.IDSelectorNot(left_out)
        # The parameters of a search override the effort set in the index, so they repeat it.
        if hasattr(self.index, "nprobe"):
            return self._faiss.SearchParametersIVF(sel=selector, nprobe=self.index.nprobe)
        return self._faiss.SearchParametersHNSW(sel=selector, efSearch=self.index.hnsw.efSearch)


def build(kind: str, items: Tensor, users: Tensor) -> ItemIndex:
    """Build an index, and set its effort by a sample of users.

    Args:
        kind: One of :data:`INDEXES`.
        items: float ``[n, k]``.
        users: float ``[m, k]``; the effort is the smallest that finds 97 % of the best 20 items of
            some of them.

    Raises:
        ConfigError: The kind is unknown, or faiss is not installed.
    """
    if kind not in INDEXES:
        refuse("--index", kind, " or ".join(INDEXES))
    faiss = load_faiss()
    vectors = np.ascontiguousarray(items.float().numpy())
    n, size = vectors.shape

    # faiss asks for 39 vectors or more a list, and advises 4 to 16 times the root of n lists.
    n_lists = max(min(int(4 * np.sqrt(n)), n // 40), 1)
    # Codes of 8 bits take a quarter of the memory, and the exact scores of the candidates make up
    # for them.
    factory = "HNSW32_SQ8" if kind == "hnsw" else f"IVF{n_lists},SQ8"
    index = faiss.index_factory(size, factory, faiss.METRIC_INNER_PRODUCT)

    sample = vectors
    if n > _TRAINING_ITEMS:
        rows = np.random.default_rng(0).choice(n, _TRAINING_ITEMS, replace=False)
        sample = vectors[rows]
    index.train(sample)
    index.add(vectors)

    built = ItemIndex(index)
    _set_effort(built, vectors, users)
    return built


def _set_effort(built: ItemIndex, vectors: NDArray[np.float32], users: Tensor) -> None:
    """Double the effort of a search until its recall is enough."""
    rows = np.random.default_rng(0).permutation(len(users))[:_TUNING_USERS]
    queries = users.float()[rows]
    # One user at a time: all scores at once would be [200, n].
    best: list[NDArray[np.int64]] = []
    for query in queries:
        scores = vectors @ query.numpy()
        best.append(np.argsort(-scores)[:_CUTOFF])
    nothing = np.zeros(0, dtype=np.int64)

    is_ivf = hasattr(built.index, "nprobe")
    largest = built.index.nlist if is_ivf else 4096
    effort = 4 if is_ivf else 64
    while True:
        if is_ivf:
            built.index.nprobe = min(effort, largest)
        else:
            built.index.hnsw.efSearch = min(effort, largest)

        recalls: list[float] = []
        for query, wanted in zip(queries, best, strict=True):
            found = built.candidates(query, _CUTOFF, nothing)
            recalls.append(float(np.isin(wanted, found).mean()))
        if np.mean(recalls) >= _ENOUGH_RECALL or effort >= largest:
            return
        effort *= 2


def load(path: Path, n: int, size: int) -> ItemIndex:
    """Load an index; its lists are mapped from the file where faiss can do so.

    Args:
        path: The file.
        n: Number of items.
        size: Length of the embeddings.

    Raises:
        PortableModelError: The file is damaged, or is an index of something else.
        ConfigError: faiss is not installed.
    """
    faiss = load_faiss()
    # The object of the file owns the index: it has to live as long as the part that is used.
    try:
        stored = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        index = faiss.downcast_index(stored)
    except (RuntimeError, MemoryError) as error:
        raise PortableModelError(f"{path}: damaged ({one_line(error, 200)})") from None
    if not isinstance(index, (faiss.IndexIVF, faiss.IndexHNSW)):
        raise PortableModelError(
            f"{path}: found {type(index).__name__}, allowed is an index of {', '.join(INDEXES)}"
        )
    if (index.ntotal, index.d, index.metric_type) != (n, size, faiss.METRIC_INNER_PRODUCT):
        found = f"{index.ntotal} vectors of length {index.d}"
        raise PortableModelError(
            f"{path}: found {found}, allowed are {n} of length {size}, by inner product"
        )
    return ItemIndex(index, stored)


def save(index: ItemIndex, path: Path) -> None:
    """Write an index."""
    load_faiss().write_index(index.index, str(path))
