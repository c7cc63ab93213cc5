"""What RecBole's quick start cannot do."""
