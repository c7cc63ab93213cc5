"""Comparison of several models on the same split: ``run_recbole_group``."""

__all__ = [
    "cluster",
    "differences",
    "execution",
    "folder",
    "planning",
    "record",
    "results",
    "runs",
    "single_run",
    "summary",
    "variants",
]
