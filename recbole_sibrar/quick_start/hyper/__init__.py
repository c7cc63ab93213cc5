"""A search for hyperparameters."""
