"""Music4All-Onion."""

__all__ = ["converter", "demographics", "listens", "reader", "track_features"]
