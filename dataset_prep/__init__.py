"""Converters from raw data sets to atomic files with multimodal features.

The folder is installed as ``recbole_sibrar.dataset_prep``, but is a package beside ``recbole_sibrar`` for who reads the
sources, such as mypy. Its modules therefore import each other relatively (``from .raw import RawData``) and the rest of
the plugin absolutely (``from recbole_sibrar.data.atomic import DataError``).
"""
