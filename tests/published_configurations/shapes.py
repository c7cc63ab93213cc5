"""Small data sets in the shapes of published ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

N_USERS, N_ITEMS = 40, 50


def write(path: Path, header: str, rows: list[list[str]], separator: str = "\t") -> None:
    """Write an atomic file; ``header`` has its columns separated by spaces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [separator.join(row) for row in [header.split(), *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def events(seed: int = 0) -> list[list[str]]:
    """User, item, rating and time of interactions; some pairs occur twice."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(1, N_USERS + 1):
        items = rng.choice(N_ITEMS, rng.integers(8, 16), replace=False) + 1
        for item in [*items, items[0]]:
            rows.append(
                [
                    f"u{user}",
                    f"i{item}",
                    str(rng.integers(1, 6)),
                    str(1_500_000_000 + rng.integers(10**8)),
                ]
            )
    return rows


def vector(rng: np.random.Generator, size: int = 6) -> str:
    """A vector as text, missing one time in ten."""
    return (
        "" if rng.random() < 0.1 else " ".join(f"{number:.3f}" for number in rng.normal(size=size))
    )


def ratings(folder: Path) -> None:
    """Ratings and times, and fields of users and items."""
    rng = np.random.default_rng(1)
    write(
        folder / "shop.inter", "user_id:token item_id:token rating:float timestamp:float", events()
    )
    items = [
        [f"i{i}", "abc"[i % 3], f"{rng.random() * 20:.2f}", vector(rng)]
        for i in range(1, N_ITEMS + 1)
    ]
    write(folder / "shop.item", "item_id:token category:token price:float text:float_seq", items)
    users = [[f"u{u}", str(rng.integers(18, 70)), "FM"[u % 2]] for u in range(1, N_USERS + 1)]
    write(folder / "shop.user", "user_id:token age:float gender:token", users)


def sessions(folder: Path) -> None:
    """Sessions in three files: the last item, and those before it."""
    rng = np.random.default_rng(2)
    header = "session_id:token item_id_list:token_seq item_id:token"
    for part, sizes in (
        ("train", range(1, 300)),
        ("valid", range(300, 340)),
        ("test", range(340, 380)),
    ):
        rows = []
        for session in sizes:
            items = [f"i{item}" for item in rng.integers(1, N_ITEMS + 1, 4)]
            rows.append([f"s{session}", " ".join(items[:-1]), items[-1]])
        write(folder / f"shop.{part}.inter", header, rows)


def graph(folder: Path) -> None:
    """Interactions, and a knowledge graph with links to the items."""
    ratings(folder)
    links = [[f"i{i}", f"e{i}"] for i in range(1, N_ITEMS + 1)]
    write(folder / "shop.link", "item_id:token entity_id:token", links)
    triples = [[f"e{i}", "is_a", f"class{i % 4}"] for i in range(1, N_ITEMS + 1)]
    write(folder / "shop.kg", "head_id:token relation_id:token tail_id:token", triples)


def vectors(folder: Path) -> None:
    """Interactions, and vectors of the items in a file of their own."""
    rng = np.random.default_rng(3)
    write(
        folder / "shop.inter", "user_id:token item_id:token rating:float timestamp:float", events()
    )
    rows = [
        [f"i{i}", " ".join(f"{number:.3f}" for number in rng.normal(size=5))]
        for i in range(1, N_ITEMS - 4)
    ]
    write(folder / "shop.itememb", "iid:token item_emb:float_seq", rows)


def new_items(folder: Path) -> None:
    """Interactions in three files, each item in one of them."""
    ratings(folder)
    parts = {"train": range(1, 41), "valid": range(41, 46), "test": range(46, N_ITEMS + 1)}
    for part, items in parts.items():
        rows = [row[:2] for row in events() if int(row[1][1:]) in items]
        write(folder / f"shop.{part}.inter", "user_id:token item_id:token", rows)


def commas(folder: Path) -> None:
    """The same with commas, and with names of another source."""
    rng = np.random.default_rng(4)
    write(folder / "shop.inter", "uid:token iid:token stars:float time:float", events(), ",")
    genres = ["drama", "comedy", "war"]
    items = [
        [
            f"i{i}",
            "|".join(rng.choice(genres, rng.integers(1, 3), replace=False)),
            str(rng.integers(1950, 2020)),
        ]
        for i in range(1, N_ITEMS + 1)
    ]
    write(folder / "shop.item", "iid:token genres:token_seq year:float", items, ",")


SHAPES: dict[str, Callable[[Path], None]] = {
    "sessions_from_files": sessions,
    "knowledge_graph": graph,
    "vectors_beside_the_items": vectors,
    "new_items_from_files": new_items,
    "csv_with_own_names": commas,
}
"""Name of a configuration -> function for its data; :func:`ratings` for all others."""
