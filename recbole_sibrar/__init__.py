"""SiBraR for RecBole: multimodal recommendation with a single-branch network.

Importing this package is enough: afterwards RecBole's own functions know its models.

Example:
    >>> import recbole_sibrar
    >>> from recbole.utils import get_model
    >>> get_model("SiBraR").__name__
    'SiBraR'
"""

from recbole_sibrar.plugin import MODELS, register

__version__ = "0.1.0"
__all__ = ["MODELS", "__version__", "register"]

register()
