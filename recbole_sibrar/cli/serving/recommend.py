"""The command ``recbole-sibrar recommend``: recommendations for a file of users, or for all."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.serving import shared as serving

if TYPE_CHECKING:
    from recbole_sibrar.serving.batch.jobs import Written
    from recbole_sibrar.serving.batch.shards import ShardOptions

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    serving.add_model_folder(parser)
    parser.add_argument(
        "--users",
        metavar="FILE",
        default="all",
        help="all (default), or a table with ids of known users or with fields of new ones "
        "(.user, .tsv, .csv, .parquet, .jsonl)",
    )
    parser.add_argument(
        "--items", metavar="FILE", help="table with new items, which compete with the known ones"
    )

    parser.add_argument(
        "--filter",
        help="items that may be recommended, such as \"year >= 1990 and 'Comedy' in class\"",
    )
    parser.add_argument(
        "--include_seen", action="store_true", help="recommend items of the users' histories too"
    )
    serving.add_k(parser, "20", "number of items for each user")

    parser.add_argument(
        "--output",
        metavar="FILE",
        required=True,
        help="recommendations to write (.parquet, .csv, .jsonl)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="divide the users among a Ray cluster: its address, such as auto or HOST:6379, or "
        "local to start one on this machine",
    )


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    model: str
    """Folder of the portable model."""
    users: str
    """``all``, or a table."""
    items: str | None
    """Table with new items."""
    filter: str | None
    """Expression over display columns."""
    include_seen: bool
    """Recommend items of the histories too."""
    k: str
    """Number of items for each user."""
    output: str
    """File of the recommendations."""
    cluster: str | None
    """Address of a Ray cluster; None for this process."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option cannot be used.
        DataError: A file cannot be read or written.
        PortableModelError: The model cannot be loaded.
        ProcessError: Ray has failed.
    """
    options = shared.from_arguments(Options, args)
    k = serving.positive("--k", options.k)

    if options.cluster is not None:
        shared.check_installed("--cluster", "ray", "cluster")

    from recbole_sibrar.serving.batch.shards import ShardOptions

    users = None if options.users == "all" else Path(options.users)
    chosen = ShardOptions(k, options.filter, not options.include_seen)
    recommend = _on_cluster if options.cluster else _here
    written = recommend(options, users, chosen)
    print(f"written: {options.output} ({written.describe()})")  # noqa: T201
    return 0


def _here(options: Options, users: Path | None, chosen: ShardOptions) -> Written:
    """Recommend in this process."""
    from recbole_sibrar.serving.batch.jobs import add_file, recommend_file
    from recbole_sibrar.serving.recommender import Recommender

    # New items first: the users are recommended them as well.
    model = Recommender.load(options.model)
    if options.items:
        n_added = add_file(model, Path(options.items))
        print(f"added: {n_added:,} items of {options.items}")  # noqa: T201
    return recommend_file(model, users, Path(options.output), chosen)


def _on_cluster(options: Options, users: Path | None, chosen: ShardOptions) -> Written:
    """Recommend on a Ray cluster."""
    # Imports Ray, which takes seconds.
    from recbole_sibrar.quick_start.cluster.recommending import Batch, recommend_file

    items = None if options.items is None else Path(options.items)
    batch = Batch(Path(options.model), users, items, Path(options.output), chosen)
    return recommend_file(batch, options.cluster or "local")
