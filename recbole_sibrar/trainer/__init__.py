"""Additions to RecBole's trainer: resumable training, learning curves, TensorBoard, the gap."""

__all__ = [
    "checkpoint",
    "curve",
    "disk",
    "ending",
    "gap",
    "interruption",
    "log",
    "plain_values",
    "progress",
    "projector",
    "restore",
    "state",
    "tensorboard",
]
