"""Loading a model with its data (RecBole's ``load_data_and_model``), where they no longer fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.model.training import weights_follow


def load_data_and_model(original: Callable[..., Any], model_file: str, **options: object) -> Any:
    """Load, without a start of the model's own; name a checkpoint that does not fit the data.

    Raises:
        CheckpointError: They do not.
    """
    try:
        with weights_follow():
            return original(model_file, **options)
    except DataError as error:
        raise CheckpointError(f"{model_file}: {error}") from None
    except RuntimeError as error:
        # torch's errors for parameters of other names or shapes have no class of their own
        if "state_dict" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{model_file} was trained with other data than there are now, or by another version: "
            f"{reason}"
        ) from None
