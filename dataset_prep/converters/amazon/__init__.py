"""Amazon Reviews 2023."""

__all__ = ["converter", "product_metadata", "reader", "reviews"]
