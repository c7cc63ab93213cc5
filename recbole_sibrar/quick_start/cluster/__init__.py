"""Ray clusters: connection, resources of a task, and jobs for machines with or without shared folders."""

__all__ = ["jobs", "resources", "session", "watch"]
