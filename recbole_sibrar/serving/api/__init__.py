"""HTTP server of a portable model, with its page; its packages are those of the extra ``serve``."""

__all__: list[str] = []
