"""Extensions of RecBole's trainer."""

__all__ = [
    "distributed",
    "loaded",
    "losses",
    "memory",
    "moved_data",
    "optimizer",
    "outcome",
    "process_group",
    "resume",
]
