"""Studies of models: significance, missing modalities, values missing in training, modality gap."""

__all__ = ["gap", "incomplete", "missing", "significance"]
