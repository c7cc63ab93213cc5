"""Batch norm and losses over the rows of all processes, with the results of a single process.

DistributedDataParallel averages the gradients of the processes' losses. For a loss that is a mean
over rows, this is the gradient of one process with all rows. Batch norm and the contrastive loss of
a batch are no such means; they need this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["Ranks", "Shared", "SynchronizedBatchNorm", "batch_norm", "synchronize_batch_norms"]


@dataclass(frozen=True)
class Ranks:
    """The processes of one model's training.

    All of them have to call each method, in the same order.
    """

    group: dist.ProcessGroup
    """A process group of its own.

    DistributedDataParallel sends gradients at any time, and would mix with its calls.
    """

    @property
    def size(self) -> int:
        """Number of processes."""
        return dist.get_world_size(self.group)

    def total(self, values: Tensor) -> Tensor:
        """Sum a tensor of the same shape over all ranks; gradients go through."""
        apply: Callable[..., Tensor] = _Total.apply
        return apply(values, self.group)

    def share(self, count: Tensor) -> Tensor:
        """Weight of this rank's mean in the mean over all rows.

        Args:
            count: Number of this rank's rows; may be 0.
        """
        # DistributedDataParallel divides by the number of ranks: multiplied by it, the weights
        # count_r / count make the mean over all rows of the means of the ranks.
        return count * self.size / _summed(count, self.group).clamp(min=1)

    def gather(self, rows: Tensor) -> Tensor:
        """Concatenate the rows of all ranks, in their order.

        The gradient is right for a loss that every rank computes alike from all rows.

        Args:
            rows: ``[n, ...]``; n may differ between ranks.
        """
        apply: Callable[..., Tensor] = _Gather.apply
        return apply(rows, self.group)

    def shared(self, ids: Tensor, n: int) -> Shared:
        """Weight rows by one over the number of ranks with the same id.

        Over all ranks each distinct id counts once.

        Args:
            ids: int64 ``[m]``, distinct, each from 0 to ``n - 1``.
            n: Number of possible ids.
        """
        # A byte for each id holds the count of up to 255 ranks, and is a quarter to send.
        kind = torch.uint8 if self.size < 256 else torch.int32
        present = torch.zeros(n, dtype=kind, device=ids.device)
        present[ids] = 1
        dist.all_reduce(present, group=self.group)

        # [m], at least one rank has each id: this one.
        return Shared(present[ids].float().reciprocal(), self)


@dataclass(frozen=True)
class Shared:
    """Weights of the rows of a batch in several processes."""

    weights: Tensor
    """float ``[n]``."""
    ranks: Ranks
    """The processes."""

    def chosen(self, rows: Tensor) -> Shared:
        """Weights of some of the rows."""
        return Shared(self.weights[rows], self.ranks)

    def split(self, sizes: Sequence[int]) -> list[Shared]:
        """Divide the weights into those of consecutive blocks of rows."""
        parts = torch.split(self.weights, list(sizes))
        return [Shared(part, self.ranks) for part in parts]


class _Total(torch.autograd.Function):
    """Sum over all ranks."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return _summed(values, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # The losses of all ranks depend on the sum: its gradient is a sum over all ranks too.
        return _summed(gradients[0], ctx.group), None


def _summed(values: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Sum a tensor over all ranks, without its gradient."""
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total


class _Gather(torch.autograd.Function):
    """Concatenation of the rows of all ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup) -> Tensor:
        own = torch.tensor([len(rows)], device=rows.device)
        counts = [torch.zeros_like(own) for _ in range(dist.get_world_size(group))]
        dist.all_gather(counts, own, group=group)
        sizes: list[int] = torch.cat(counts).tolist()

        # all_gather sends tensors of one shape: fill up to the longest.
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=group)

        # Place of this rank's rows among all, for the gradient.
        ctx.size = len(sizes)
        ctx.start = sum(sizes[: dist.get_rank(group)])
        ctx.end = ctx.start + len(rows)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # Every rank has the gradient by all rows. It keeps the part of its own rows, times the
        # number of ranks, because DistributedDataParallel divides by it.
        return gradients[0][ctx.start : ctx.end] * ctx.size, None


def batch_norm(norm: _BatchNorm, rows: Tensor, shared: Shared) -> Tensor:
    """Normalise weighted rows by the statistics of all ranks.

    The running statistics are updated as torch does.

    Args:
        norm: Parameters and running statistics.
        rows: float ``[n, size]``; n may differ between ranks and may be 0.
        shared: The weights.
    """
    # Sums of many half-precision rows would lose their digits.
    wide = rows.float()
    weights = shared.weights[:, None]

    # [size + 1], the sums of the columns and that of the weights in one message.
    sums = shared.ranks.total(torch.cat([(weights * wide).sum(0), weights.sum(0)]))
    n = sums[-1].detach()

    # A single row has no variance of its own. Weights of a third do not sum up to exactly 1.
    if n < 1.5:
        return _with_running_statistics(norm, rows)

    # In two passes: the difference of two sums of squares would lose digits.
    mean = sums[:-1] / n
    centred = wide - mean
    variance = shared.ranks.total((weights * centred.square()).sum(0)) / n
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        # Like torch: the batch is normalised by its own variance, the running one is the unbiased
        # estimate.
        _update(norm, mean.detach(), variance.detach() * n / (n - 1))

    normalised = centred * (variance + norm.eps).rsqrt()
    if norm.affine:
        normalised = normalised * norm.weight + norm.bias
    return normalised.to(rows.dtype)


def _with_running_statistics(norm: _BatchNorm, rows: Tensor) -> Tensor:
    return nn.functional.batch_norm(
        rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
    )


@torch.no_grad()
def _update(norm: Any, mean: Tensor, variance: Tensor) -> None:
    norm.num_batches_tracked += 1
    # Without a momentum torch keeps the mean over all batches.
    factor = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, factor)
    norm.running_var.lerp_(variance, factor)


class SynchronizedBatchNorm(_BatchNorm):
    """Batch norm over the rows of all processes on any device.

    ``torch.nn.SyncBatchNorm`` is for GPUs alone.
    """

    ranks: Ranks | None = None
    """The processes; None normalises the rows of this one."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any shape ``[n, size, ...]``."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[n, size, ...]`` over all dimensions but ``size``."""
        if not self.training or self.ranks is None:
            return super().forward(input)

        # size goes last, and all other dimensions become rows: [n, size]
        rows = input.transpose(1, -1)
        flat = rows.reshape(-1, input.shape[1])
        shared = Shared(flat.new_ones(len(flat), dtype=torch.float32), self.ranks)
        return batch_norm(self, flat, shared).view(rows.shape).transpose(1, -1)


def synchronize_batch_norms(module: nn.Module, ranks: Ranks, but: type[nn.Module]) -> nn.Module:
    """Replace every batch norm of a module by one over the rows of all processes.

    The tensors stay the same.

    Args:
        module: The module; changed in place, unless it is a batch norm itself.
        ranks: The processes.
        but: Class of batch norms to leave as they are.
    """
    if isinstance(module, _BatchNorm) and not isinstance(module, but):
        replacement = SynchronizedBatchNorm(
            module.num_features,
            module.eps,
            module.momentum,
            module.affine,
            module.track_running_stats,
        )
        replacement.ranks = ranks

        # The very tensors, so that names in checkpoints and optimizers stay valid.
        for name, value in _tensors(module):
            setattr(replacement, name, value)
        return replacement.train(module.training)

    for name, child in module.named_children():
        setattr(module, name, synchronize_batch_norms(child, ranks, but))
    return module


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module itself, by name."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
