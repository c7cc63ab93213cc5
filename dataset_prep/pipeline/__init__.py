"""The steps from raw data to atomic files."""

__all__ = [
    "cells",
    "columns",
    "conversion",
    "data_set_files",
    "encode_option",
    "encoded_fields",
    "entities",
    "filtering",
    "parts",
    "preparation",
    "raw",
    "reporting",
    "vectors",
    "writing",
]
