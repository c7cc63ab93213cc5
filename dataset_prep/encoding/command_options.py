"""Shared options of the commands for encoding."""

from __future__ import annotations

import argparse
from pathlib import Path

SUFFIXES = (".npz", ".npy", ".parquet")
"""Endings of files of vectors."""


def add_id_column(parser: argparse.ArgumentParser) -> None:
    """Add the option for the column of ids."""
    parser.add_argument(
        "--id_column", metavar="NAME", help="column of the ids (default: id, item_id or user_id)"
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the output and the device."""
    kinds = ", ".join(SUFFIXES)
    parser.add_argument(
        "--output", metavar="FILE", required=True, type=Path, help=f"file of the vectors: {kinds}"
    )
    add_device_options(parser)


def add_device_options(
    parser: argparse.ArgumentParser,
    prefix: str = "",
    noun: str = "entities",
    metavar: str | None = None,
) -> None:
    """Add the options for the batch size and the device.

    Args:
        parser: Parser of a command.
        prefix: Start of the options' names.
        noun: Entities to encode, in the plural.
        metavar: Name of the batch size's value in the help.
    """
    parser.add_argument(
        f"--{prefix}batch_size",
        metavar=metavar,
        type=int,
        default=32,
        help=f"{noun} at a time (default: %(default)s)",
    )
    parser.add_argument(
        f"--{prefix}device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default: %(default)s",
    )
