"""Evaluation beyond what RecBole measures."""
