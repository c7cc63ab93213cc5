"""Options of the training of SiBraR and MuBraR: shared candidates, a teacher, and the average of the weights."""

from recbole_sibrar.model.training.averaging import WeightAverage
from recbole_sibrar.model.training.candidates import SharedCandidates, in_random_sets, shared_softmax_loss
from recbole_sibrar.model.training.teacher import Teacher

__all__ = ["SharedCandidates", "Teacher", "WeightAverage", "in_random_sets", "shared_softmax_loss"]
