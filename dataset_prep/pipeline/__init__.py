"""The steps from raw data to atomic files."""
