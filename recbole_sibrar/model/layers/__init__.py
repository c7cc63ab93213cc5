"""Layers of the encoders: projections of each kind of modality, and the MLP of a branch."""

from recbole_sibrar.model.layers.basic import MLP, BatchNorm, make_activation, to_float32
from recbole_sibrar.model.layers.interactions import InteractionsLayer
from recbole_sibrar.model.layers.kernel import KernelLayer, soft_bins
from recbole_sibrar.model.layers.precision import Linear, set_precision
from recbole_sibrar.model.layers.projection import Projection
from recbole_sibrar.model.layers.scaling import (
    Standardization,
    UnitLength,
    make_scaling,
    scaling_of,
    statistics,
)
from recbole_sibrar.model.layers.tables import (
    BagLayer,
    CategoryLayer,
    DenseLayer,
    IdLayer,
    gather_bags,
    pad_rows,
)

__all__ = [
    "MLP",
    "BagLayer",
    "BatchNorm",
    "CategoryLayer",
    "DenseLayer",
    "IdLayer",
    "InteractionsLayer",
    "KernelLayer",
    "Linear",
    "Projection",
    "Standardization",
    "UnitLength",
    "gather_bags",
    "make_activation",
    "make_scaling",
    "pad_rows",
    "scaling_of",
    "set_precision",
    "soft_bins",
    "statistics",
    "to_float32",
]
