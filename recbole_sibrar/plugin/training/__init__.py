"""Extensions of RecBole's trainer."""
