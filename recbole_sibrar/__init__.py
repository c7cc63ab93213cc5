"""SiBraR for RecBole: multimodal recommendation with a single-branch network.

Importing this package is enough: afterwards RecBole's own functions know its models.

Example:
    >>> import recbole_sibrar
    >>> from recbole.utils import get_model
    >>> get_model("SiBraR") is recbole_sibrar.SiBraR
    True
"""

from typing import TYPE_CHECKING

from recbole_sibrar.errors import CheckpointError, ConfigError, DataError, ProcessError
from recbole_sibrar.names import BASELINES, MODELS, OWN_MODELS
from recbole_sibrar.plugin.registration import register_with_recbole

if TYPE_CHECKING:
    from recbole_sibrar.model import CLCRec, DropoutNet, MuBraR, SiBraR
    from recbole_sibrar.serving.recommender import Recommender

__version__ = "0.1.0"
__all__ = [
    "BASELINES",
    "MODELS",
    "OWN_MODELS",
    "CLCRec",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DropoutNet",
    "MuBraR",
    "ProcessError",
    "Recommender",
    "SiBraR",
    "__version__",
    "register",
]


def __getattr__(name: str) -> object:
    # Models and the recommender are imported on first use: commands start without torch.
    if name == "Recommender":
        from recbole_sibrar.serving.recommender import Recommender

        return Recommender

    if name not in OWN_MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    from recbole_sibrar import model

    return getattr(model, name)


def register() -> None:
    """Import RecBole and make its functions know the plugin, which otherwise happens when RecBole is imported."""
    from recbole_sibrar import plugin

    plugin.register()


register_with_recbole()
