"""The command ``recbole-sibrar encode-text``: vectors of texts, by sentence-transformers."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command_options import add_id_column, add_output_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--input",
        metavar="FILE",
        required=True,
        type=Path,
        help="CSV, TSV, JSONL, JSON (an object of id -> text), each also .gz; Parquet; an atomic "
        ".item or .user file",
    )
    add_id_column(parser)
    parser.add_argument(
        "--text_columns",
        metavar="A,B",
        help="columns of the text, joined by spaces in this order (default: the only one beside "
        "the ids)",
    )

    parser.add_argument(
        "--model",
        metavar="NAME",
        required=True,
        help="folder of a model, an installed package with a model, or its name on Hugging Face",
    )
    parser.add_argument("--normalize", action="store_true", help="scale each vector to length 1")
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Encode the texts of a table and write their vectors.

    Args:
        args: The options of :func:`add_arguments`, and the ``command``.

    Returns:
        Exit status.

    Raises:
        DataError: The input, the model, the device or the output cannot be used.
        ConfigError: An option has a wrong value.
    """
    # Light until here: --help does not wait for torch and pandas.
    from . import running, texts

    return running.run(args, texts.JOB)
