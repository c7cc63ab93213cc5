"""The command ``recbole-sibrar encode-image``: vectors of images."""

from __future__ import annotations

import argparse
from pathlib import Path

from recbole_sibrar.errors import refuse

from .command_options import add_id_column, add_output_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--input",
        metavar="DIR",
        required=True,
        type=Path,
        help="folder of images named by their ids, or a table (as for encode-text) of ids and "
        "paths",
    )
    add_id_column(parser)
    parser.add_argument(
        "--path_column", metavar="NAME", default="path", help="column of the paths (default: path)"
    )

    parser.add_argument(
        "--model", metavar="NAME", required=True, help="name of a network, such as resnet50"
    )
    parser.add_argument(
        "--library", choices=("timm", "torchvision"), default="timm", help="default: %(default)s"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default="default",
        help="file of weights (.pth, .safetensors), or default: the library's own, downloaded once",
    )

    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read images (default: 0, this one)"
    )
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Encode images and write their vectors.

    Args:
        args: The options of :func:`add_arguments`, and the ``command``.

    Returns:
        Exit status.

    Raises:
        DataError: The input, the model, the device or the output cannot be used.
        ConfigError: An option has a wrong value.
    """
    if args.workers < 0:
        refuse("--workers", args.workers, "0 or a number of processes")

    # Light until here: --help does not wait for torch and pandas.
    from . import images, running

    return running.run(args, images.JOB)
