"""Additions to RecBole's trainer: resumable training, learning curves, TensorBoard and the modality gap."""

__all__ = [
    "checkpoint",
    "disk",
    "ending",
    "interruption",
    "log",
    "plain_values",
    "progress",
    "projector",
    "restore",
    "state",
    "tensorboard",
    "tracking",
]
