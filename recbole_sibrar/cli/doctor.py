"""The command ``recbole-sibrar doctor``: check the installation."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command: none."""


@dataclass(frozen=True)
class Options:
    """Options of the command: none."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status: 0, or 1 if the installation does not work.
    """
    from recbole_sibrar.quick_start import doctor

    return doctor.main(print)
