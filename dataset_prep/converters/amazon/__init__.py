"""Amazon Reviews 2023."""
