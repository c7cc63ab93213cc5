"""Runs of one model, comparisons, searches for hyperparameters, and the test of an installation."""

__all__ = ["cluster", "doctor", "export", "group", "hyper", "run"]
