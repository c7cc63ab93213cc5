"""Page and figures about a comparison of models; the command is in ``report.build``."""

__all__ = ["build"]
