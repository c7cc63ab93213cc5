"""The record of the training data in a checkpoint."""

__all__ = ["fingerprint", "recording", "scaling", "tables", "training_data"]
