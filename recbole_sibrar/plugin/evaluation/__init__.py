"""Extensions of RecBole's evaluation."""
