"""What RecBole's trainer cannot do."""
