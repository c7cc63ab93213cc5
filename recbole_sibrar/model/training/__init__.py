"""Options of the training of SiBraR and MuBraR, such as a start from a closed form."""

from recbole_sibrar.model.training.averaging import WeightAverage
from recbole_sibrar.model.training.candidates import (
    SharedCandidates,
    in_random_sets,
    shared_softmax_loss,
)
from recbole_sibrar.model.training.new_items import as_new_items, check_new_items
from recbole_sibrar.model.training.reloading import (
    forget_after_loading,
    pad_before_loading,
    weights_follow,
)
from recbole_sibrar.model.training.teacher import Teacher
from recbole_sibrar.model.training.warm_start import constant_loss, make_start

__all__ = [
    "SharedCandidates",
    "Teacher",
    "WeightAverage",
    "as_new_items",
    "check_new_items",
    "constant_loss",
    "forget_after_loading",
    "in_random_sets",
    "make_start",
    "pad_before_loading",
    "shared_softmax_loss",
    "weights_follow",
]
