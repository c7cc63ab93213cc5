"""Files of loaders and data sets for later runs."""

__all__ = ["dataset", "loaders"]
