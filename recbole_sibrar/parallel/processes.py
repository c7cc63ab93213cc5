"""Communication between the processes that train one model together, its ranks.

With one process every function returns its own value. All ranks have to call a collective function,
in the same order: a call behind a condition that differs between ranks would wait for ever.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist

from recbole_sibrar.protocols import ConfigLike

__all__ = ["any_rank", "broadcast", "count", "gather", "is_main", "mean", "rank"]

T = TypeVar("T")


def count(config: ConfigLike) -> int:
    """Count the processes that train the model of a configuration.

    Args:
        config: RecBole's ``Config``; its key ``single_spec`` is set for a single process.
    """
    # A configuration made for several processes may be used by one, without a process group.
    is_single = config["single_spec"] or not dist.is_initialized()
    return 1 if is_single else dist.get_world_size()


def rank(config: ConfigLike) -> int:
    """Return the number of this process among all, on any machine; 0 for a single process."""
    return 0 if count(config) == 1 else dist.get_rank()


def is_main(config: ConfigLike) -> bool:
    """Tell whether this process is the one for logging, measuring and writing files."""
    return rank(config) == 0


def gather(config: ConfigLike, value: T) -> list[T]:
    """Collect a value of each rank, in their order, on rank 0; the others get an empty list.

    Args:
        config: RecBole's ``Config``.
        value: Any picklable value.
    """
    if count(config) == 1:
        return [value]

    # torch asks for the list on the receiving rank, and for None on all others.
    values: list[Any] | None = [None] * dist.get_world_size() if is_main(config) else None
    dist.gather_object(value, values)
    return values or []


def broadcast(config: ConfigLike, value: T | None) -> T:
    """Send a value of rank 0 to all.

    Args:
        config: RecBole's ``Config``.
        value: Any picklable value; that of the other ranks is ignored and may be None.
    """
    values: list[Any] = [value]
    if count(config) > 1:
        dist.broadcast_object_list(values)

    sent: T = values[0]
    return sent


def any_rank(config: ConfigLike, flag: bool) -> bool:
    """Tell whether the flag of any rank is set, for a common decision of all ranks."""
    if count(config) == 1:
        return flag

    # The largest of zeros and ones is one if any rank has one.
    flags = torch.tensor([int(flag)])
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


def mean(config: ConfigLike, value: float) -> float:
    """Mean of a number over all ranks."""
    if count(config) == 1:
        return value

    # As float64: a loss of Python is one, and float32 would round it.
    total = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / dist.get_world_size()
