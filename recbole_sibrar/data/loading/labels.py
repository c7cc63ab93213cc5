"""Labels of RecBole's key ``threshold``, made from a field of the interactions."""

from __future__ import annotations

from collections.abc import Callable

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.data.atomic import names_of
from recbole_sibrar.data.loading.needed import INTER, header_of
from recbole_sibrar.errors import DataError
from recbole_sibrar.protocols import ConfigLike, DatasetLike


def check_threshold(config: ConfigLike) -> None:
    """Check that ``threshold`` is one field with a number.

    Args:
        config: RecBole's ``Config``.

    Raises:
        ConfigError: It is not.
    """
    threshold = config["threshold"]
    if threshold is None:
        return

    values = list(threshold.values()) if isinstance(threshold, dict) else []
    # bool is a subclass of int
    if len(values) != 1 or isinstance(values[0], bool) or not isinstance(values[0], (int, float)):
        allowed = "one field and its least positive value, such as {'rating': 3}"
        refuse("threshold", threshold, allowed)


def set_labels(original: Callable[[DatasetLike], None], dataset: DatasetLike) -> None:
    """Make the labels as RecBole does.

    Args:
        original: RecBole's method.
        dataset: RecBole's ``Dataset``.

    Raises:
        DataError: The interactions have no such field, or it holds no numbers.
    """
    frame = dataset.inter_feat
    for field in dataset.config["threshold"] or {}:
        # the ids have been numbered by now, but are no numbers of the user
        is_id = field in (dataset.uid_field, dataset.iid_field)
        if is_id or field not in frame or frame[field].dtype.kind not in "iuf":
            numbers = _numbers_of_file(dataset)
            raise DataError(
                f"threshold: found '{field}', allowed are the numbers of the interactions: "
                f"{', '.join(numbers) or 'there are none'}{nearest(field, numbers)}"
            )
    original(dataset)


def _numbers_of_file(dataset: DatasetLike) -> list[str]:
    """List the fields of the file with a number for each interaction, loaded or not."""
    return names_of(header_of(dataset, INTER), "float")
