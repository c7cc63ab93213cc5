"""Portable models on disk: their format, writing and reading."""

__all__ = ["content", "manifest", "plain", "reading", "writing"]
