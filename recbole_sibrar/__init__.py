"""SiBraR for RecBole: multimodal recommendation with a single-branch network.

Importing this package is enough: afterwards RecBole's own functions know its models.

Example:
    >>> import recbole_sibrar
    >>> from recbole.utils import get_model
    >>> get_model("SiBraR").__name__
    'SiBraR'
"""

from recbole_sibrar.names import BASELINES, MODELS, OWN_MODELS
from recbole_sibrar.plugin.registration import register_with_recbole

__version__ = "0.1.0"
__all__ = ["BASELINES", "MODELS", "OWN_MODELS", "__version__", "register"]


def register() -> None:
    """Import RecBole and make its functions know the plugin, which otherwise happens when RecBole is imported."""
    from recbole_sibrar import plugin

    plugin.register()


register_with_recbole()
