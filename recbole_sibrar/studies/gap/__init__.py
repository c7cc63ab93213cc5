"""The modality gap of trained models."""
