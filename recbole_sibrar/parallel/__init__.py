"""Training of one model by several processes."""

__all__ = ["processes", "synchronization"]
