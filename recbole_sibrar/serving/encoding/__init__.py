"""Encoding of new users and items as training encodes its own."""

__all__ = ["cells", "encoder", "entities", "frames", "loading"]
