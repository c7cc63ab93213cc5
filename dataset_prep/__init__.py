"""Converters from raw data sets to atomic files with multimodal features.

The folder is installed as ``recbole_sibrar.dataset_prep``. In the sources, for example for mypy, it
is a package beside ``recbole_sibrar``. Its modules therefore import each other relatively
(``from .raw import RawData``) and the rest of the plugin absolutely
(``from recbole_sibrar.errors import DataError``).
"""

__all__ = ["command", "converters", "encoding", "lists", "pipeline", "readers"]
