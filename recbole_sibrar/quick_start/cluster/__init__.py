"""Ray clusters: connection, resources, and jobs for machines with or without shared folders."""

__all__ = ["jobs", "resources", "session", "watch"]
