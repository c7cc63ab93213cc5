"""Make RecBole's atomic files of MovieLens-1M with a text vector for each movie, for the experiments of the docs.

    python benchmarks/prepare_ml_1m.py --data DIR --output dataset

DIR holds ``interactions.npz`` (``user_id``, ``movie_id``), ``users.dat``, ``movies.dat`` and ``text_minilm.npz``
(``movie_id``, ``embedding``). Ratings and timestamps are not among them, so the files have none.

    python benchmarks/prepare_ml_1m.py --data DIR --stand_in ml-1m

makes a folder for ``recbole-sibrar prepare ml-1m`` instead. Its ``ratings.dat`` is a stand-in: all ratings are 4 or 3
(``rating_at_least_4`` of ``interactions.npz``), and all timestamps are 0.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_sibrar.data.atomic import Field, write_frame

MIN_INTERACTIONS = 10
"""Movies with fewer interactions are left out."""


def main() -> None:
    """Write ``ml-1m.inter``, ``ml-1m.user`` and ``ml-1m.item``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the original files")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("dataset"),
        help="data_path of RecBole (default: dataset)",
    )
    parser.add_argument("--stand_in", type=Path, help="folder for prepare ml-1m, to make instead")
    args = parser.parse_args()
    if args.stand_in is not None:
        write_stand_in(args.data, args.stand_in)
        return

    folder = args.output / "ml-1m"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = np.load(args.data / "interactions.npz")
    inter = pd.DataFrame({"user_id": pairs["user_id"], "item_id": pairs["movie_id"]})
    counts = inter["item_id"].map(inter["item_id"].value_counts())
    inter = inter[counts >= MIN_INTERACTIONS]
    write_frame(
        folder / "ml-1m.inter", [Field("user_id", "token"), Field("item_id", "token")], inter
    )

    columns = ["user_id", "gender", "age", "occupation", "zip_code"]
    users = _read(args.data / "users.dat", columns)
    users = users[users["user_id"].isin(set(inter["user_id"].astype(str)))]
    write_frame(folder / "ml-1m.user", [Field(name, "token") for name in columns], users)

    movies = _read(args.data / "movies.dat", ["item_id", "title", "genres"])
    movies = movies[movies["item_id"].isin(set(inter["item_id"].astype(str)))]
    text = np.load(args.data / "text_minilm.npz")
    vectors = dict(
        zip(text["movie_id"].astype(str), text["embedding"].astype(np.float32), strict=True)
    )
    movies = movies.assign(
        genres=[genres.split("|") for genres in movies["genres"]],
        text=[vectors.get(x, ()) for x in movies["item_id"]],
    )
    fields = [Field("item_id", "token"), Field("genres", "token_seq"), Field("text", "float_seq")]
    write_frame(folder / "ml-1m.item", fields, movies)

    print(f"{len(inter)} interactions, {len(users)} users, {len(movies)} items in {folder}")


def write_stand_in(data: Path, folder: Path) -> None:
    """Write a ``ratings.dat`` without the original ratings and times, beside ``users.dat`` and ``movies.dat``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("users.dat", "movies.dat"):
        shutil.copyfile(data / name, folder / name)

    pairs = np.load(data / "interactions.npz")
    ratings = np.where(pairs["rating_at_least_4"], 4, 3)
    rows = zip(pairs["user_id"], pairs["movie_id"], ratings, strict=True)
    lines = [f"{user}::{movie}::{rating}::0\n" for user, movie, rating in rows]
    (folder / "ratings.dat").write_text("".join(lines), encoding="latin-1")
    print(f"{len(lines)} ratings in {folder}, with stand-ins for ratings and times")


def _read(file: Path, columns: list[str]) -> pd.DataFrame:
    return pd.read_csv(
        file, sep="::", engine="python", names=columns, encoding="latin-1", dtype=str
    )


if __name__ == "__main__":
    main()
