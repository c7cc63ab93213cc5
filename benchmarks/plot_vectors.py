"""Make a vector of each plot in a table of films, without a text encoder: TF-IDF weights, reduced to 100 numbers.

    python benchmarks/plot_vectors.py omdb.json --output plots.npz

The table is an object of objects by id, such as that of OMDb. ``recbole-sibrar prepare`` reads the vectors with
``--item_feature plot=plots.npz``.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

SIZE = 100
"""Numbers of a vector."""


def main() -> None:
    """Write the ids and the vectors of all films with a plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="JSON, packed as .gz or not")
    parser.add_argument("--output", type=Path, required=True, help="the .npz file to write")
    args = parser.parse_args()

    read = gzip.open if args.table.suffix == ".gz" else open
    with read(args.table, "rt", encoding="utf-8") as file:
        films = json.load(file)
    plots = {film: row["plot"] for film, row in films.items() if row.get("plot", "N/A") != "N/A"}

    # words of one film tell nothing about others
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
    weights = words.fit_transform(plots.values())
    vectors = TruncatedSVD(SIZE, random_state=0).fit_transform(weights)
    np.savez(args.output, ids=np.array(list(plots)), plot=vectors.astype(np.float32))
    print(
        f"{len(plots)} of {len(films)} films have a plot; vectors of {SIZE} numbers in {args.output}"
    )


if __name__ == "__main__":
    main()
