"""Trained models while modalities are missing."""
