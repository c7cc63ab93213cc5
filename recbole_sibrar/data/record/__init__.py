"""The record of the training data in a checkpoint."""
