"""Recommendations and vectors of whole files; memory holds a piece at a time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.serving.batch.reading import read_pieces
from recbole_sibrar.serving.batch.shards import ShardOptions, recommend_shard, shards_of
from recbole_sibrar.serving.batch.writing import table_writer, vector_writer
from recbole_sibrar.serving.encoding.frames import read_table
from recbole_sibrar.serving.look_ups import LookUps
from recbole_sibrar.serving.recommender import Recommender

__all__ = ["Written", "add_file", "each_item", "encode_file", "recommend_file", "write_results"]


@dataclass(frozen=True)
class Written:
    """Size of a file of recommendations."""

    n_users: int
    """Number of users with recommendations."""
    n_unknown: int
    """Number of clicked items that the model does not know, and that were left out."""

    def describe(self) -> str:
        """Describe it in a few words."""
        users = f"{self.n_users:,} users"
        if not self.n_unknown:
            return users
        return f"{users}; {self.n_unknown:,} clicks on unknown items were left out"


def add_file(model: Recommender, path: Path) -> int:
    """Add the items of a file to a model.

    Args:
        model: The model.
        path: Items in the form of the ``.item`` file.

    Returns:
        Number of items.

    Raises:
        DataError: The file cannot be read, or a cell holds no value of its field's type.
    """
    return sum(len(tokens) for tokens in _add_pieces(model, path))


def _add_pieces(model: Recommender, path: Path) -> Iterator[list[str]]:
    """Add the items of a file; say at the end how many of their labels are unknown.

    Yields:
        The ids of a piece, as soon as the model has its items.
    """
    look_ups = LookUps(model)
    spec = model.manifest.items
    n_unknown: Counter[str] = Counter()
    for piece in read_pieces(path, spec):
        tokens = model.add_items(piece)["item"].tolist()
        n_unknown.update(look_ups.count_unknown_labels(read_table(piece, spec, "item")))
        yield tokens

    if n_unknown.total():
        fields = ", ".join(f"{name}: {n:,}" for name, n in n_unknown.items() if n)
        # Not among the results, which may go to another program.
        tqdm.write(
            f"{path}: labels unknown to the model, which count as missing: {fields}",
            file=sys.stderr,
        )


def recommend_file(
    model: Recommender,
    users: Path | None,
    output: Path,
    options: ShardOptions,
    progress: bool = True,
) -> Written:
    """Write recommendations for the users of a file, or for all known users.

    Args:
        model: The model.
        users: Ids of known users, or new users in the form of the ``.user`` file; None for all
            known users.
        output: The file: ``.parquet``, ``.csv`` or ``.jsonl``.
        options: Number of items and their choice.
        progress: Show a progress bar.

    Raises:
        DataError: A file cannot be read or written.
        UnknownEntityError: The file has nothing but ids, and one is unknown.
    """
    # Lazily: memory holds one shard at a time.
    shards = shards_of(users, model.manifest.users)
    results = (recommend_shard(model, shard, options) for shard in shards)

    # Nobody knows how many rows a file has before it is read.
    total = model.n_users if users is None else None
    return write_results(results, output, total, progress)


def write_results(
    results: Iterable[tuple[pd.DataFrame, int]], output: Path, total: int | None, progress: bool
) -> Written:
    """Write the recommendations of shards one after the other.

    Args:
        results: Tables of recommendations, each with its number of unknown clicks.
        output: The file.
        total: Number of all users, for the progress bar; None if it is unknown.
        progress: Show a progress bar.

    Raises:
        DataError: The file cannot be written.
    """
    n_users = 0
    n_unknown = 0
    with table_writer(output) as write, tqdm(total=total, unit="user", disable=not progress) as bar:
        for frame, unknown in results:
            write(frame)
            # A user without candidates has no row.
            count = int((frame["rank"] == 1).sum())
            n_users += count
            n_unknown += unknown
            bar.update(count)
    return Written(n_users, n_unknown)


def each_item(
    model: Recommender,
    names: Sequence[str],
    path: str | None,
    answer: Callable[[str], pd.DataFrame],
) -> Iterator[pd.DataFrame]:
    """Answer a question about known items, and about the new items of a file.

    Args:
        model: The model; new items are added to it.
        names: Ids of known items.
        path: Table with new items; None for none.
        answer: Makes the table of an item.

    Yields:
        The table of each item.

    Raises:
        DataError: No item is given, or the file cannot be read.
        UnknownEntityError: An item is unknown.
    """
    if not names and path is None:
        raise DataError(
            "ITEM: found no item; give ids of known items, or --items with a table of new ones"
        )
    # All names before the first answer: a part of a result looks like the whole.
    model.describe_items(names)
    for name in names:
        yield answer(name)
    # The model gets the items of a piece at once, and then answers for each.
    for tokens in _add_pieces(model, Path(path)) if path else ():
        yield from map(answer, tokens)


def encode_file(
    model: Recommender, side: Side, path: Path, output: Path, progress: bool = True
) -> int:
    """Write the embeddings of the users or items of a file.

    Args:
        model: The model.
        side: ``user`` or ``item``.
        path: Users or items in the form of their atomic file.
        output: The file: ``.parquet``, ``.jsonl`` or ``.npy``.
        progress: Show a progress bar.

    Returns:
        Number of embeddings.

    Raises:
        DataError: A file cannot be read or written, or a cell holds no value of its field's type.
    """
    encode = model.encode_items if side == "item" else model.encode_users
    n = 0
    with vector_writer(output) as write, tqdm(unit=side, disable=not progress) as bar:
        for piece in read_pieces(path, model.manifest.side(side)):
            frame = encode(piece)
            write(frame)
            n += len(frame)
            bar.update(len(frame))
    return n
