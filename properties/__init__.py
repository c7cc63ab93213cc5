"""Default configurations; a package so that ``importlib.resources`` finds them in every kind of install."""

__all__: list[str] = []
