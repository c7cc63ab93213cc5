"""MovieLens-1M."""

__all__ = ["converter", "reader"]
