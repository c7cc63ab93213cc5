"""Tests of significance between models."""
