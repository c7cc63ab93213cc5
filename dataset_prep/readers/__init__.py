"""Readers of tables, streams and vectors."""
