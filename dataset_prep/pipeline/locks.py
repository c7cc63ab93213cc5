"""Lock of a command's output: one command at a time writes it."""

from recbole_sibrar.files import locked

__all__ = ["locked"]
