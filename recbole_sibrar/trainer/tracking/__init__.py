"""Observation of a training: learning curve, modality gap, and lack of progress."""

__all__ = ["curve", "gap", "standstill"]
