"""Studies of trained models: significance, missing modalities, modality gap."""

__all__ = ["gap", "missing", "significance"]
