"""Loaders that RecBole's own cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from recbole.data.dataloader import TrainDataLoader


class MultimodalTrainDataLoader(TrainDataLoader):
    """RecBole's training loader whose negatives depend on seed, epoch and batch, not on the process that draws them.

    RecBole draws negatives from NumPy's global generator, of which every worker process has a copy of its own, so
    that ``worker: 2`` gives other numbers than ``worker: 0``. Here a batch is drawn from a stream of its own.
    """

    epoch = -1
    """Number of passes over the data that were started, less one; part of what a resumed run restores."""

    def __iter__(self) -> Any:
        self.epoch += 1
        return super().__iter__()

    def collate_fn(self, index: Any) -> Any:
        """Build a batch from the rows ``index`` of the training interactions."""
        with numpy_stream(self.config["seed"], self.epoch, int(index[0])):
            return super().collate_fn(index)


@contextmanager
def numpy_stream(*key: int) -> Iterator[None]:
    """Let NumPy's global generator draw from the stream of a key, and go on afterwards as if nothing had been drawn."""
    state = np.random.get_state()
    np.random.seed(np.random.SeedSequence(key).generate_state(4))
    try:
        yield
    finally:
        np.random.set_state(state)
