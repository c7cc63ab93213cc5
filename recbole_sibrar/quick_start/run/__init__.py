"""Run of one model, in one process or several: ``run_recbole``."""

__all__ = ["child_process", "configuration", "joining", "process_options", "processes"]
