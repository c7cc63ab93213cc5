"""Converters from raw data sets to atomic files with multimodal features."""
