"""SiBraR for RecBole: multimodal recommendation with a single-branch network.

Importing this package is enough: afterwards RecBole's own functions know its models.

Example:
    >>> import recbole_sibrar
    >>> from recbole.utils import get_model
    >>> get_model("SiBraR").__name__
    'SiBraR'
"""

from typing import TYPE_CHECKING

from recbole_sibrar.names import MODELS
from recbole_sibrar.plugin.registration import register_with_recbole

if TYPE_CHECKING:
    from recbole_sibrar.serving.recommender import Recommender

__version__ = "0.1.0"
__all__ = ["MODELS", "Recommender", "__version__", "register"]


def register() -> None:
    """Import RecBole and make its functions know the plugin, which otherwise happens when RecBole is imported."""
    from recbole_sibrar import plugin

    plugin.register()


def __getattr__(name: str) -> object:
    if name != "Recommender":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    from recbole_sibrar.serving.recommender import Recommender  # imports torch

    return Recommender


register_with_recbole()
