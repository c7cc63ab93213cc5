"""Loading parameters that were learned for fewer users or items than there are now."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from recbole_sibrar.model.layers import IdLayer


def id_weights(module: nn.Module, prefix: str) -> list[str]:
    """Names of the parameters of a module that have a row for each entity of its side.

    Args:
        module: An encoder.
        prefix: Name of the module in the model, with a dot.
    """
    layers = [name for name, layer in module.named_modules() if isinstance(layer, IdLayer)]
    return [f"{prefix}{name}.embedding.weight" for name in layers]


def pad_rows(state: MutableMapping[str, Any], names: Iterable[str], known: int, n: int) -> None:
    """Give rows of zeros to entities that training did not know; nothing looks them up.

    Args:
        state: A ``state_dict``, whose entries are replaced.
        names: Its entries with a row for each entity.
        known: Number of entities that training knew, padding included; entries with fewer rows stay as they are.
        n: Number of entities now; nothing changes if it is the same.

    Example:
        >>> state = {"embedding.weight": torch.ones(2, 1)}
        >>> pad_rows(state, ["embedding.weight"], 2, 3)
        >>> state["embedding.weight"].flatten().tolist()
        [1.0, 1.0, 0.0]
    """
    for name in names:
        rows = state.get(name)
        if isinstance(rows, Tensor) and known < n and len(rows) >= known:
            state[name] = torch.cat([rows[:known], rows.new_zeros((n - known, *rows.shape[1:]))])
