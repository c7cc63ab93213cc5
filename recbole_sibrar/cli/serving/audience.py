"""The command ``recbole-sibrar audience``: the users who would like an item most."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.serving import shared as serving

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    serving.add_model_folder(parser)
    serving.add_items(parser)
    serving.add_k(parser, "100", "number of users")
    serving.add_output(parser)


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    model: str
    """Folder of the portable model."""
    names: list[str]
    """Ids of items."""
    items: str | None
    """Table with new items."""
    k: str
    """Number of users."""
    output: str | None
    """File of the result; None to print it."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option cannot be used.
        DataError: An item is unknown, or a file cannot be read or written.
        PortableModelError: The model cannot be loaded.
    """
    options = shared.from_arguments(Options, args)
    k = serving.positive("--k", options.k)

    from recbole_sibrar.serving.batch.jobs import each_item
    from recbole_sibrar.serving.recommender import Recommender

    # Tables are made one by one, while they are shown or written.
    model = Recommender.load(options.model)
    tables = each_item(model, options.names, options.items, lambda item: model.audience(item, k))
    serving.show(tables, options.output)
    return 0
