"""Files of users, items and recommendations, read and written in pieces."""

__all__ = ["actor", "jobs", "reading", "shards", "writing"]
