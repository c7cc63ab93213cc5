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


def register(*classes: type) -> None:
    """Make RecBole's functions know the plugin, and models and metrics of your own by their names.

    The plugin itself is registered when RecBole is imported; without arguments this imports
    RecBole. A registered model may stand in ``model=``, and a registered metric in ``metrics=``.

    Args:
        classes: Classes derived from a model or a metric, of RecBole or of this plugin.

    Raises:
        ConfigError: A class is no model and no metric, or its name belongs to another class.

    Example:
        >>> import recbole_sibrar
        >>> from recbole.utils import get_model
        >>> class Mine(recbole_sibrar.SiBraR):
        ...     pass
        >>> recbole_sibrar.register(Mine)
        >>> get_model("Mine") is Mine
        True
    """
    # Importing the plugin imports RecBole, which takes seconds.
    from recbole_sibrar import plugin

    plugin.register()
    for own in classes:
        plugin.register_class(own)


# RecBole is not imported here: the plugin waits for the import of RecBole.
register_with_recbole()
