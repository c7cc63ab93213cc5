"""Page and figures about a comparison of models; the command is in :mod:`recbole_sibrar.report.build`."""

__all__ = ["build"]
