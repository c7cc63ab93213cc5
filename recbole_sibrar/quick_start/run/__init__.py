"""A run of one model."""
