"""A comparison of several models."""
