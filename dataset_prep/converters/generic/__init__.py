"""Tables of any form."""

__all__ = [
    "column_choices",
    "column_groups",
    "column_names",
    "column_types",
    "converter",
    "dates",
    "fields",
    "interactions",
    "list_cells",
    "options",
    "reader",
    "table_formats",
    "text_kinds",
    "text_tables",
]
