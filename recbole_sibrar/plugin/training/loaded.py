"""Loading a model with its data (RecBole's ``load_data_and_model``), where the two no longer fit together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import recbole.quick_start

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.plugin.repairs import CheckpointError


def extend_loading(extend: Callable[[Any, str, Callable[..., Any]], None]) -> None:
    """Extend RecBole's function that loads a model with its data.

    Args:
        extend: Replaces a function by one that is called with the original first.
    """
    extend(recbole.quick_start, "load_data_and_model", _load_data_and_model)


def _load_data_and_model(original: Any, model_file: str, **options: Any) -> Any:
    """Load, and name the checkpoint where its parameters do not fit the data.

    Raises:
        CheckpointError: They do not.
    """
    try:
        return original(model_file, **options)
    except DataError as error:
        raise CheckpointError(f"{model_file}: {error}") from None
    except RuntimeError as error:
        if "state_dict" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{model_file} was trained with other data than there are now, or by another version: {reason}"
        ) from None
