"""Weight averaging: a moving average of the parameters, used at inference."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_WARM_UP = 10
"""Steps until the average forgets the initial weights; a fixed decay would keep them long."""


class WeightAverage(nn.Module):
    """Exponential moving average of a model's parameters and statistics (Polyak & Juditsky, 1992).

    After step t, average = a * average + (1 - a) * weights with a = min(decay, (1 + t) / (10 + t)).
    The average and the weights change places for an evaluation: the ``state_dict`` of an evaluated
    model holds the average under the usual names, and the weights of the training beside it, from
    which a run can be resumed.

    Args:
        model: The model; its floating-point entries of the ``state_dict`` are averaged.
        decay: Share of the average that a step keeps, below 1.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = WeightAverage(model, 0.5)
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(3.0)
        >>> average.update(model)
        >>> average.use(model, True)
        >>> model.weight.item() != 3.0
        True
        >>> average.use(model, False)
        >>> model.weight.item()
        3.0
    """

    n_updates: Tensor
    in_use: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        # Integers, such as the number of batches of batch norm, have no mean.
        self.names: list[str] = []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.names.append(name)
                self.register_buffer(_buffer_name(name), value.detach().clone())
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.long))
        self.register_buffer("in_use", torch.zeros((), dtype=torch.bool))

    def names_of(self, names: Iterable[str]) -> list[str]:
        """Return the names of the averages of some parameters."""
        return [_buffer_name(name) for name in names]

    @torch.no_grad()
    def restart(self, model: nn.Module) -> None:
        """Begin with other weights of the model."""
        for name, value in _values(model, self.names).items():
            self.get_buffer(_buffer_name(name)).copy_(value)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of the model, once for each training step."""
        # A buffer, so that a resumed run goes on counting.
        self.n_updates += 1
        n = int(self.n_updates)
        kept = min(self.decay, (1 + n) / (_WARM_UP + n))
        for name, value in _values(model, self.names).items():
            self.get_buffer(_buffer_name(name)).lerp_(value, 1 - kept)

    @torch.no_grad()
    def use(self, model: nn.Module, averaged: bool) -> None:
        """Let the model have the average, or the weights of the training."""
        if bool(self.in_use) == averaged:
            return

        # In place: the optimiser holds the parameters themselves.
        for name, value in _values(model, self.names).items():
            kept = self.get_buffer(_buffer_name(name))
            previous = value.clone()
            value.copy_(kept)
            kept.copy_(previous)
        self.in_use.fill_(averaged)

    def extra_repr(self) -> str:
        """Decay, for the printed model."""
        return f"decay={self.decay}"


def _buffer_name(name: str) -> str:
    """Return the name of the average of a parameter; names of buffers cannot have dots."""
    return name.replace(".", "/")


def _values(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Entries of the state of a model, which share its memory."""
    state = model.state_dict()
    return {name: state[name] for name in names}
