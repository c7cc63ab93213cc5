"""Models trained on data with hidden values, by the way of filling them in."""

__all__ = ["plots", "settings", "tables"]
