"""CiteULike-a."""

__all__ = ["articles", "converter", "numbered_lists", "published_split", "reader"]
