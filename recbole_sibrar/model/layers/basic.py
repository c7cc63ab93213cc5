"""Activations, batch norm, and the MLP of a branch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.model.layers.precision import Linear
from recbole_sibrar.parallel.synchronization import Shared, batch_norm

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "selu": nn.SELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "none": nn.Identity,
}


def make_activation(name: str) -> nn.Module:
    """Make an activation by the name of the configuration, such as ``relu`` or ``selu``.

    Example:
        >>> make_activation("leakyrelu")
        LeakyReLU(negative_slope=0.01)
    """
    return _ACTIVATIONS[name]()


class BatchNorm(nn.BatchNorm1d):
    """Batch norm with running statistics for a single row, which has no variance of its own.

    Example:
        >>> import torch
        >>> BatchNorm(2, eps=0)(torch.tensor([[3.0, 4.0]])).tolist()  # running mean 0, variance 1
        [[3.0, 4.0]]
    """

    def forward(self, input: Tensor, shared: Shared | None = None) -> Tensor:
        """Normalise ``[n, size]``, in training over all processes of a ``shared`` batch."""
        if self.training and shared is not None:
            return batch_norm(self, input, shared)

        # PyTorch refuses a single row in training.
        if self.training and len(input) < 2:
            return functional.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training=False,
                momentum=0.0,
                eps=self.eps,
            )
        return super().forward(input)


class MLP(nn.Sequential):
    """Linear layers with input dropout, and batch norm before the activation ([A] section 3.1).

    Args:
        sizes: Size of the input and of each layer.
        dropout_prob: Share of the input that is dropped in training.
        activation: Activation after every layer but the last.
        output_activation: Activation after the last layer too.
        batch_norm: ``none``, ``last``, ``hidden`` for after all layers but the last, or n for after
            every n-th layer.

    Example:
        >>> mlp = MLP([4, 5, 3], activation="tanh", batch_norm="last")
        >>> [type(layer).__name__ for layer in mlp]
        ['Linear', 'Tanh', 'Linear', 'BatchNorm']
    """

    def __init__(
        self,
        sizes: Sequence[int],
        dropout_prob: float = 0.0,
        activation: str = "relu",
        output_activation: bool = False,
        batch_norm: str | int = "none",
    ) -> None:
        layers: list[nn.Module] = []
        if dropout_prob:
            layers.append(nn.Dropout(dropout_prob))

        n_layers = len(sizes) - 1
        for i in range(1, n_layers + 1):
            is_last = i == n_layers
            layers.append(Linear(sizes[i - 1], sizes[i]))

            has_norm = batch_norm == ("hidden", "last")[is_last]
            if isinstance(batch_norm, int):
                has_norm = i % batch_norm == 0
            if has_norm:
                layers.append(BatchNorm(sizes[i]))

            if output_activation or not is_last:
                # In place: what linear layers and batch norm return is needed nowhere else.
                is_relu = activation == "relu"
                layers.append(nn.ReLU(inplace=True) if is_relu else make_activation(activation))
        super().__init__(*layers)

    def forward(self, input: Tensor, shared: Shared | None = None) -> Tensor:
        """Map ``[n, sizes[0]]`` to ``[n, sizes[-1]]``.

        Args:
            input: The rows.
            shared: Weights of the rows in batch norm, where several processes share the batch.
        """
        # nn.Sequential hands on one argument only.
        for layer in self:
            input = layer(input, shared) if isinstance(layer, BatchNorm) else layer(input)
        return input


def to_float32(embeddings: Tensor) -> Tensor:
    """Convert half-precision results of autocast to float32; leave others as they are."""
    return embeddings.float() if embeddings.dtype.itemsize < 4 else embeddings
