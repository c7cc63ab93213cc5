"""First layer of a projection that reads similarities to the values of training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.model.layers.precision import Precise
from recbole_sibrar.model.layers.tables import Table

_KEPT = 50_000_000
"""Largest number of similarities to keep from one step to the next, 200 MB."""

_BIN_WIDTH = 0.5
"""Distance and standard deviation of the soft bins of a number, in standard deviations of the numbers."""

_N_BINS = 13
"""Number of soft bins, the middle one at the mean."""


def soft_bins(numbers: Tensor) -> Tensor:
    """Spread standardised numbers over a grid, so that near numbers have similar rows.

    A number by itself would have the cosine 1 or -1 with any other.

    Args:
        numbers: ``[n]``.

    Returns:
        ``[n, 13]``.

    Example:
        >>> soft_bins(torch.tensor([0.0])).argmax().item()
        6
    """
    grid = (torch.arange(_N_BINS, device=numbers.device) - _N_BINS // 2) * _BIN_WIDTH
    clipped = numbers.clamp(grid[0], grid[-1])
    return torch.exp(-0.5 * ((clipped[:, None] - grid) / _BIN_WIDTH) ** 2)


class KernelLayer(Precise, Table):
    r"""Linear layer on similarities to landmarks: ``[n] ids -> [n, out]``.

    A similarity is :math:`\exp(cos(v, l) - 1)`. The landmarks are the vectors of the training
    entities, and soft bins in the place of numbers. A linear map of these similarities is any
    function of a kernel machine, which a few thousand entities can learn (Schoelkopf & Smola,
    Learning with Kernels, 2002). The landmarks stand in the ``state_dict``: they encode new
    entities where the data of training are not at hand.

    Args:
        table: The vectors or numbers.
        out: Size of the output.
        landmarks: int64 ``[m]``: entities with a vector.
        scaling: Scales the vectors ``[n, size]`` before their length becomes 1; None leaves them as
            they are.

    Example:
        >>> from recbole_sibrar.data.modality import ModalityKind, dense_table
        >>> vectors = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        >>> available = torch.tensor([False, True, True])
        >>> table = dense_table("text", ModalityKind.VECTOR, vectors, available, 2)
        >>> layer = KernelLayer(table, out=4, landmarks=torch.tensor([1]))
        >>> similarities = layer.similarities(torch.tensor([1, 2])).flatten().tolist()
        >>> similarities == [1.0, torch.tensor(-1.0).exp().item()]
        True
    """

    values: Tensor
    rows: Tensor | None
    landmarks: Tensor
    own: Tensor
    place: Tensor

    def __init__(
        self, table: ModalityTable, out: int, landmarks: Tensor, scaling: nn.Module | None = None
    ) -> None:
        super().__init__(table)
        self.scaling = scaling or nn.Identity()
        self.is_number = table.kind is ModalityKind.SCALAR
        self.register_buffer("landmarks", self._unit(table.values_of(landmarks)))
        self.register_buffer("own", torch.ones(len(landmarks)))
        # Place of each entity among the landmarks; -1 for others. It depends on the data in use.
        place = torch.full((len(table),), -1)
        place[landmarks] = torch.arange(len(landmarks))
        self.register_buffer("place", place, persistent=False)
        self.weight, self.bias = self._make_weights(len(landmarks), out)
        self._kept: tuple[Tensor, Tensor] | None = None

    @staticmethod
    def _make_weights(
        n: int, out: int, device: torch.device | None = None
    ) -> tuple[nn.Parameter, nn.Parameter]:
        """Make the weights ``[out, n]`` and the constant of a linear layer."""
        # torch.nn.Linear warns of a layer without an input.
        bound = 1 / math.sqrt(max(n, 1))  # as torch.nn.Linear
        weight = torch.empty(out, n, device=device).uniform_(-bound, bound)
        return nn.Parameter(weight), nn.Parameter(torch.zeros(out, device=device))

    def _unit(self, vectors: Tensor) -> Tensor:
        scaled: Tensor = self.scaling(vectors)
        return functional.normalize(soft_bins(scaled[:, 0]) if self.is_number else scaled, dim=1)

    def _compare(self, vectors: Tensor) -> Tensor:
        return torch.exp(self._unit(vectors) @ self.landmarks.t() - 1)

    def between(self, places: Tensor) -> Tensor:
        """Compute the similarities of some landmarks, ``[n, n]``."""
        chosen = self.landmarks[places]
        return torch.exp(chosen @ chosen.t() - 1)

    @torch.no_grad()
    def similarities(self, rows: Tensor) -> Tensor:
        """Compute the similarities of the entities ``rows`` to the landmarks, ``[n, m]``."""
        stored = rows if self.rows is None else self.rows[rows]
        if len(self.values) * len(self.landmarks) > _KEPT:
            return self._compare(self.values[stored])

        # The values change where a server puts new entities in the place of the old ones.
        if self._kept is None or self._kept[0] is not self.values:
            self._kept = self.values, self._compare(self.values)
        return self._kept[1][stored]

    def forward(self, rows: Tensor) -> Tensor:
        """Project the vectors of the entities ``rows``."""
        # some at a time: the similarities of a large catalogue do not fit the memory
        size = max(_KEPT // max(len(self.landmarks), 1), 1)
        parts = [self._project(part) for part in torch.split(rows, size)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _project(self, rows: Tensor) -> Tensor:
        similarities = self.similarities(rows)
        if self.training:
            similarities = self._with_own(similarities, rows)
        return self.linear(similarities, self.weight, self.bias)

    def _with_own(self, similarities: Tensor, rows: Tensor) -> Tensor:
        """Replace the similarity of each landmark to itself by ``own``."""
        # Below 1, a landmark is encoded more like a new entity, which is no landmark.
        places = self.place[rows]
        chosen = (places >= 0).nonzero().flatten()
        changed = similarities.clone()
        changed[chosen, places[chosen]] = self.own[places[chosen]]
        return changed

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load the landmarks of training, however many there are."""
        landmarks = state_dict.get(f"{prefix}landmarks")
        if isinstance(landmarks, Tensor) and landmarks.shape != self.landmarks.shape:
            device = self.landmarks.device
            self.landmarks = torch.empty_like(landmarks, device=device)
            self.own = torch.ones(len(landmarks), device=device)
            self.weight, self.bias = self._make_weights(len(landmarks), len(self.bias), device)
        self._kept = None
        super()._load_from_state_dict(state_dict, prefix, *rest)
