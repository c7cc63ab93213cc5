"""What the processes that train one model together, its ranks, say to each other.

Every function does the obvious thing where there is one process. What is sent to all has to be called by all, in the
same order; nothing of it may stand behind a condition that one rank fulfils and another does not.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist


def count(config: Any) -> int:
    """How many processes train the model of a configuration.

    Args:
        config: RecBole's ``Config``, whose key ``single_spec`` says whether there are several.
    """
    return 1 if config["single_spec"] or not dist.is_initialized() else dist.get_world_size()


def rank(config: Any) -> int:
    """The number of this process among all, on whatever machine; 0 where it is the only one."""
    return 0 if count(config) == 1 else dist.get_rank()


def is_main(config: Any) -> bool:
    """Whether this process is the one that logs, measures and writes files."""
    return rank(config) == 0


def gather(config: Any, value: Any) -> list[Any]:
    """What each rank has, in their order, for rank 0; the others get nothing.

    Args:
        config: RecBole's ``Config``.
        value: Anything that can be pickled.
    """
    if count(config) == 1:
        return [value]
    values: list[Any] | None = [None] * dist.get_world_size() if is_main(config) else None
    dist.gather_object(value, values)
    return values or []


def broadcast(config: Any, value: Any = None) -> Any:
    """What rank 0 has.

    Args:
        config: RecBole's ``Config``.
        value: Anything that can be pickled; that of the others does not matter.
    """
    if count(config) == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def any_rank(config: Any, flag: bool) -> bool:
    """Whether any rank says yes, so that all of them decide alike."""
    if count(config) == 1:
        return flag
    flags = torch.tensor([int(flag)])
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


def mean(config: Any, value: float) -> float:
    """The mean of a number over all ranks."""
    if count(config) == 1:
        return value
    total = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(total)
    return total.item() / dist.get_world_size()
