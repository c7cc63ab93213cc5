"""Protocols of RecBole's objects: the attributes and methods that this package uses.

RecBole 1.2.1 has no type hints. A signature with one of these says what a function needs, and a
test can give it anything that has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from logging import Logger
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ConfigLike", "DatasetLike", "FullConfig", "LoaderLike", "ModelLike", "TrainerLike"]


class ConfigLike(Protocol):
    """Look-up of configuration keys; a key that is not set is None."""

    def __getitem__(self, key: str) -> Any: ...


class FullConfig(ConfigLike, Protocol):
    """RecBole's ``Config``."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    model_class: type
    """Class of the model."""
    final_config_dict: dict[str, Any]
    """All keys."""
    external_config_dict: dict[str, Any]
    """Keys that the user has given."""
    internal_config_dict: dict[str, Any]
    """Default keys."""

    def __contains__(self, key: str) -> bool: ...

    def __setitem__(self, key: str, value: Any) -> None: ...


class DatasetLike(Protocol):
    """RecBole's ``Dataset``."""

    config: FullConfig
    dataset_name: str
    dataset_path: str
    uid_field: str
    iid_field: str
    inter_feat: Any
    """Interactions: a data frame until they are split, then RecBole's ``Interaction``."""
    user_feat: Any
    item_feat: Any
    feat_name_list: list[str]
    """Attributes with a frame."""
    field2type: dict[str, Any]
    field2source: dict[str, Any]
    field2id_token: Mapping[str, NDArray[Any]]
    field2token_id: Mapping[str, dict[str, int]]
    benchmark_filename_list: list[str] | None
    logger: Logger

    @property
    def user_num(self) -> int:
        """Number of users, with RecBole's padding user 0."""

    @property
    def item_num(self) -> int:
        """Number of items, with RecBole's padding item 0."""

    def num(self, field: str) -> int:
        """Count the ids or categories of a field, with padding."""

    def token2id(self, field: str, tokens: Any) -> Any:
        """Translate tokens of the files into ids."""

    def id2token(self, field: str, ids: Any) -> Any:
        """Translate ids into tokens of the files."""


class LoaderLike(Protocol):
    """RecBole's data loaders."""

    config: FullConfig

    @property
    def dataset(self) -> DatasetLike:
        """The data set that is loaded."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class ModelLike(Protocol):
    """RecBole's recommenders."""

    training: bool

    def calculate_loss(self, interaction: Any) -> Any:
        """Training loss of a batch."""

    def full_sort_predict(self, interaction: Any) -> Any:
        """Scores of all items for the users of a batch."""


class TrainerLike(Protocol):
    """RecBole's trainers."""

    config: FullConfig
    model: Any
    logger: Logger
    saved_model_file: str
    start_epoch: int
    cur_step: int
    best_valid_score: float
    best_valid_result: Any
    train_loss_dict: dict[int, Any]
    optimizer: Any
    eval_collector: Any
    evaluator: Any
