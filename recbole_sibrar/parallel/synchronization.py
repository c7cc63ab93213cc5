"""What a training step of several processes computes over all of their rows, as one process with all rows would.

DistributedDataParallel averages the gradients of the processes' losses. That is the gradient of one process with all
rows where a loss is a mean over rows. Batch norm and the contrastive loss of a batch are not; they need this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Ranks:
    """The processes that train one model together. All of them have to call each method, in the same order."""

    group: Any
    """torch's process group, which nothing else uses: DistributedDataParallel sends gradients at times of its own."""

    @property
    def size(self) -> int:
        """How many there are."""
        return dist.get_world_size(self.group)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks of a tensor whose shape is the same everywhere; gradients go through."""
        return _Total.apply(values, self.group)

    def share(self, count: Tensor) -> Tensor:
        """By what to multiply a mean over ``count`` of this rank's rows, so that the mean over ranks is that over rows.

        Args:
            count: A number, which may be 0.
        """
        return count * self.size / _summed(count, self.group).clamp(min=1)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks, in their order.

        The gradient is right for a loss that every rank computes of all rows, and alike.

        Args:
            rows: ``[n, ...]``, n may differ.
        """
        return _Gather.apply(rows, self.group)

    def shared(self, ids: Tensor, n: int) -> Shared:
        """How often each id is there: the weights with which the rows of all ranks are each distinct id once.

        Args:
            ids: int64 ``[m]``, distinct, each from 0 to ``n - 1``.
            n: How many different ids there could be.
        """
        present = torch.zeros(n, dtype=torch.uint8 if self.size < 256 else torch.int32, device=ids.device)
        present[ids] = 1
        dist.all_reduce(present, group=self.group)
        return Shared(present[ids].float().reciprocal(), self)


@dataclass(frozen=True)
class Shared:
    """The weight of each row of a batch that several processes share."""

    weights: Tensor
    """float ``[n]``."""
    ranks: Ranks
    """The processes."""

    def chosen(self, rows: Tensor) -> Shared:
        """The same for some of the rows."""
        return Shared(self.weights[rows], self.ranks)

    def split(self, sizes: Sequence[int]) -> list[Shared]:
        """The same for blocks of rows that follow each other."""
        return [Shared(part, self.ranks) for part in self.weights.split(list(sizes))]


class _Total(torch.autograd.Function):
    """Sum over all ranks; so is its gradient, since the losses of all of them depend on it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _summed(values, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _summed(gradients[0], ctx.group), None


def _summed(values: Tensor, group: Any) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total


class _Gather(torch.autograd.Function):
    """Concatenation of the rows of all ranks.

    Every rank has the gradient by all rows. It keeps that by its own, times the number of ranks, by which
    DistributedDataParallel divides.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: Any) -> Tensor:
        own = torch.tensor([len(rows)], device=rows.device)
        counts = [torch.zeros_like(own) for _ in range(dist.get_world_size(group))]
        dist.all_gather(counts, own, group=group)
        sizes = [int(count) for count in counts]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=group)
        ctx.size, ctx.start = len(sizes), sum(sizes[: dist.get_rank(group)])
        ctx.end = ctx.start + len(rows)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0][ctx.start : ctx.end] * ctx.size, None


def batch_norm(norm: _BatchNorm, rows: Tensor, shared: Shared) -> Tensor:
    """Batch norm of the rows of all ranks, with weights; updates the running statistics as torch does.

    Args:
        norm: Its parameters and running statistics.
        rows: float ``[n, size]``; n may differ between ranks and may be 0.
        shared: The weights.
    """
    wide = rows.float()
    weights = shared.weights[:, None]
    sums = shared.ranks.total(torch.cat([(weights * wide).sum(0), weights.sum(0)]))
    n = sums[-1].detach()
    if n < 1.5:  # a single row has no variance of its own
        return _with_running_statistics(norm, rows)
    mean = sums[:-1] / n
    centred = wide - mean
    variance = shared.ranks.total((weights * centred.square()).sum(0)) / n
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
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
    factor = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, factor)
    norm.running_var.lerp_(variance, factor)


class SynchronizedBatchNorm(_BatchNorm):
    """Batch norm over the rows of all processes on any device; ``torch.nn.SyncBatchNorm`` knows GPUs alone."""

    ranks: Ranks | None = None

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape ``[n, size, ...]`` will do."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[n, size, ...]`` over everything but ``size``."""
        if not self.training or self.ranks is None:
            return super().forward(input)
        rows = input.transpose(1, -1)
        flat = rows.reshape(-1, input.shape[1])
        shared = Shared(flat.new_ones(len(flat), dtype=torch.float32), self.ranks)
        return batch_norm(self, flat, shared).view(rows.shape).transpose(1, -1)


def synchronize_batch_norms(module: nn.Module, ranks: Ranks, but: type[nn.Module]) -> nn.Module:
    """Replace every batch norm of a module by one over the rows of all processes, with the same tensors.

    Args:
        module: The module, which is changed in place where it is no batch norm itself.
        ranks: The processes.
        but: Class of batch norms that are left as they are.
    """
    if isinstance(module, _BatchNorm) and not isinstance(module, but):
        replacement = SynchronizedBatchNorm(
            module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
        replacement.ranks = ranks
        for name, value in _tensors(module):
            setattr(replacement, name, value)
        return replacement.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, synchronize_batch_norms(child, ranks, but))
    return module


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
