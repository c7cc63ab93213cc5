"""Recommendations and vectors of whole files; memory holds a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.serving.batch.reading import read_pieces
from recbole_sibrar.serving.batch.writing import table_writer, vector_writer
from recbole_sibrar.serving.encoding.frames import read_table
from recbole_sibrar.serving.recommender import Recommender
from recbole_sibrar.serving.state import ItemFilter

__all__ = ["add_file", "each_item", "encode_file", "recommend_file"]


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
    return sum(len(model.add_items(piece)) for piece in read_pieces(path, model.manifest.items))


def recommend_file(
    model: Recommender,
    users: Path | None,
    output: Path,
    k: int,
    filter: ItemFilter = None,
    exclude_seen: bool = True,
    progress: bool = True,
) -> int:
    """Write recommendations for the users of a file, or for all known users.

    Args:
        model: The model.
        users: Ids of known users, or new users in the form of the ``.user`` file; None for all known users.
        output: The file: ``.parquet``, ``.csv`` or ``.jsonl``.
        k: Number of items for each.
        filter: Items that may be recommended.
        exclude_seen: Leave out the items of the histories.
        progress: Show a progress bar.

    Returns:
        Number of users.

    Raises:
        DataError: A file cannot be read or written.
        UnknownEntityError: The file has nothing but ids, and one is unknown.
    """
    total = model.n_users if users is None else None
    n = 0
    with table_writer(output) as write, tqdm(total=total, unit="user", disable=not progress) as bar:
        for frame in _recommendations(model, users, k, filter, exclude_seen):
            write(frame)
            count = int((frame["rank"] == 1).sum())
            n += count
            bar.update(count)
    return n


def _recommendations(
    model: Recommender, users: Path | None, k: int, filter: ItemFilter, exclude_seen: bool
) -> Iterator[pd.DataFrame]:
    """Recommend piece by piece."""
    if users is None:
        yield from model.recommend_blocks(None, k, filter=filter, exclude_seen=exclude_seen)
        return

    for piece in read_pieces(users, model.manifest.users, 4096):
        frame = read_table(piece, model.manifest.users, "user")
        if frame.columns or frame.tokens is None:
            yield model.recommend_new(piece, k, filter=filter, exclude_seen=exclude_seen)
        else:
            yield from model.recommend_blocks(frame.tokens, k, filter=filter, exclude_seen=exclude_seen)


def each_item(
    model: Recommender, names: Sequence[str], path: str | None, answer: Callable[[str], pd.DataFrame]
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
        raise DataError("ITEM: found no item; give ids of known items, or --items with a table of new ones")
    for name in names:
        yield answer(name)
    for piece in read_pieces(Path(path), model.manifest.items) if path else ():
        for token in model.add_items(piece)["item"]:
            yield answer(token)


def encode_file(model: Recommender, side: Side, path: Path, output: Path, progress: bool = True) -> int:
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
