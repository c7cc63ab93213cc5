"""MovieLens-1M."""
