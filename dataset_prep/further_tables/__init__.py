"""Further tables of users or items, for any converter: ``--item_table`` and ``--user_table``."""

__all__ = ["option", "reading"]
