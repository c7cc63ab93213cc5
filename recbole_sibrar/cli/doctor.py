"""The command ``recbole-sibrar doctor``."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command, which has none."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.
    """
    from recbole_sibrar.quick_start import doctor

    return doctor.main(print)
