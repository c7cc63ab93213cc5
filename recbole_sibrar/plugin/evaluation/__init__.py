"""Extensions of RecBole's evaluation."""

__all__ = ["case_study", "hooks", "short_lists"]
