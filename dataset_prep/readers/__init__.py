"""Readers of tables, streams and vectors."""

__all__ = [
    "content",
    "endings",
    "entity_file",
    "id_differences",
    "json_lines",
    "missing_words",
    "pairs",
    "raw_tables",
    "raw_text",
    "record_tables",
    "stream_tables",
    "streams",
    "vector_files",
    "vector_text",
]
