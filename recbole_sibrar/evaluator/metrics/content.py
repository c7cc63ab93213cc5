"""Metrics of the content of recommended items: diversity and calibration."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from recbole_sibrar.config import calibration_alpha, named_field
from recbole_sibrar.data.features import FieldValues
from recbole_sibrar.evaluator import functional
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.evaluator.metrics.base import UserListMetric
from recbole_sibrar.evaluator.metrics.popularity import NO_PROFILE
from recbole_sibrar.protocols import ConfigLike


class ILD(UserListMetric):
    r"""Intra-list distance, a measure of diversity (Smyth and McClave, ICCBR 2001).

    .. math:: ILD@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u| (|L_u| - 1)}
        \sum_{i \ne j \in L_u} (1 - \cos(x_i, x_j))

    with the features x of the field ``ild_modality`` of the ``.item`` file: the vector of a
    ``float_seq`` field, the multi-hot vector of a ``token_seq`` or ``token`` field. Items without a
    value are left out.

    Args:
        config: RecBole's ``Config``.

    Raises:
        ConfigError: The key ``ild_modality`` is not set.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(ILD(CONFIG).measure(example_lists(), k=2), 4)
        0.3333
    """

    undefined = "no list has two items with a value of the field ild_modality"

    def __init__(self, config: ConfigLike) -> None:
        super().__init__(config)
        self.field = named_field(config, "ild_modality", "ILD")

    def read(self, knowledge: TrainingKnowledge) -> FieldValues:
        """Read the field ``ild_modality``."""
        types = ("float_seq", "token_seq", "token")
        return knowledge.field("item", self.field, types, "ild_modality")

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the mean cosine distance of the pairs of each list."""
        directions, available = self.read(lists.knowledge).directions
        return functional.intra_list_distance(lists.items[:, :k], directions, available)


class UserCalibration(UserListMetric):
    r"""Divergence of a list's categories from the profile's, in nats (Steck, RecSys 2018).

    .. math:: C_u = \sum_g p(g|u) \ln \frac{p(g|u)}{(1 - \alpha) q(g|u) + \alpha p(g|u)}

    with two distributions of the categories of the field ``calibration_field``: p over the training
    items and q over the list. An item with n categories counts 1/n for each. Alpha is
    ``calibration_alpha``. 0 is perfectly calibrated.

    Args:
        config: RecBole's ``Config``.

    Raises:
        ConfigError: The key ``calibration_field`` is not set, or ``calibration_alpha`` is not
            between 0 and 1.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(UserCalibration(CONFIG).measure(example_lists(), k=2), 4)
        3.0701
    """

    smaller = True
    undefined = (
        f"{NO_PROFILE} with a value of the field calibration_field, "
        "or none of them got an item with a value of it"
    )

    def __init__(self, config: ConfigLike) -> None:
        super().__init__(config)
        self.field = named_field(config, "calibration_field", "UserCalibration")
        self.alpha = calibration_alpha(config)

    def read(self, knowledge: TrainingKnowledge) -> FieldValues:
        """Read the field ``calibration_field``."""
        return knowledge.field("item", self.field, ("token_seq", "token"), "calibration_field")

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the divergence of each list."""
        values = self.read(lists.knowledge).matrix
        history = lists.knowledge.history[lists.users]
        profile = functional.value_distribution(history, values)

        # Every item of a list weighs 1; Steck also proposes weights that fall with the rank.
        weights = functional.list_weights(lists.items[:, :k], values.shape[0])
        recommended = functional.value_distribution(weights, values)
        return functional.calibration_divergence(profile, recommended, self.alpha)
