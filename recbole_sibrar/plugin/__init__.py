"""Registration with RecBole: the only room that touches it."""
