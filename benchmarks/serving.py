"""Speed of a portable model: ``python benchmarks/serving.py``.

    python benchmarks/serving.py --items 100000 --users 100000
    python benchmarks/serving.py --items 1000000 --users 1000 --index ivf

The model is made at random: embeddings in clusters, and an item encoder of the default network for a text of 384
numbers and tags. Each part runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import common
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

N_TAGS = 200
TEXT = 384
SEEN = 50
"""Training items of each user."""

K = 20


def main() -> None:
    """Make a model, measure each part in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument(
        "--requests", type=int, default=1000, help="single users, one after the other"
    )
    parser.add_argument("--size", type=int, default=64, help="length of the embeddings")
    parser.add_argument("--index", help="approximate search: hnsw or ivf (default: exact)")
    parser.add_argument("--encoded", type=int, default=100_000, help="items to encode")
    parser.add_argument(
        "--parts", default="start,single,all,encode", help="parts to measure (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="keeps the model; else it is temporary")
    options = sys.argv[1:]
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    if args.part:
        print(json.dumps(PARTS[args.part](args.folder, args)))
        return

    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "random.sibrar"
        if not folder.exists():
            make_model(folder, args)
        rows = []
        for part in args.parts.split(","):
            rows += [[part, *row] for row in run_part(part, folder, options)]

    print(common.machine(args.threads))
    print(
        f"{args.items:,} items, {args.users:,} users, {args.size} dimensions, search {args.index or 'exact'}"
    )
    print(common.table(["part", "measure", "value"], rows))


def run_part(part: str, folder: Path, options: list[str]) -> list[list[str]]:
    """Measure a part in a process of its own."""
    command = [sys.executable, __file__, *options, f"--part={part}", f"--folder={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{part}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def make_model(folder: Path, args: argparse.Namespace) -> None:
    """Write a portable model with random weights."""
    from recbole.config import Config

    from recbole_sibrar.config import encoder_config
    from recbole_sibrar.serving.bundle.content import Content, Histories, SideContent
    from recbole_sibrar.serving.bundle.manifest import FORMAT, FieldSpec, Manifest, SideSpec
    from recbole_sibrar.serving.bundle.writing import write
    from recbole_sibrar.serving.encoding.cells import FieldReader
    from recbole_sibrar.serving.encoding.encoder import make_encoder
    from recbole_sibrar.serving.encoding.loading import plain_config

    random = np.random.default_rng(0)
    centres = random.normal(size=(200, args.size))
    items = clustered(random, centres, args.items)
    users = clustered(random, centres, args.users)

    fields = (
        FieldSpec("tags", "token_seq", N_TAGS + 1, scaling="none"),
        FieldSpec("text", "float_seq", TEXT),
    )
    labels = pa.array([f"t{n}" for n in range(1, N_TAGS + 1)]), np.arange(1, N_TAGS + 1)
    sys.argv = sys.argv[:1]  # RecBole's Config reads it
    config = Config("SiBraR", "ml-100k", config_dict={"embedding_size": args.size, **common.QUIET})
    encoder = encoder_config(config, "item")
    readers = (FieldReader(fields[0], labels, " "), FieldReader(fields[1], None, " "))
    network = make_encoder(
        "single_branch", encoder, [reader.table(pa.nulls(0)) for reader in readers]
    )

    item_spec = SideSpec(
        "item_id", args.items, args.items, "single_branch", ("tags", "text"), fields
    )
    item_spec = replace(item_spec, config=plain_config(encoder, item_spec.modalities))
    user_spec = replace(item_spec, id_field="user_id", n=args.users, n_trained=args.users)
    state = network.state_dict()
    weights = {
        f"{side}_encoder.{name}": value
        for side in ("user", "item")
        for name, value in state.items()
    }
    weights |= {f"{side}_stand_in": torch.zeros(args.size) for side in ("user", "item")}

    seen = random.integers(args.items, size=(args.users, SEEN)).astype(np.int32)
    histories = Histories(
        np.sort(seen, axis=1).ravel(), np.arange(args.users + 1, dtype=np.int64) * SEEN
    )
    counts = np.bincount(histories.items, minlength=args.items)
    contents = [
        SideContent(
            pa.array([f"{side}{n}" for n in range(len(vectors))]),
            popularity.astype(np.int64),
            pa.table({}),
            torch.from_numpy(vectors),
            vocabularies={"tags": labels},
        )
        for side, vectors, popularity in (
            ("u", users, np.full(args.users, SEEN)),
            ("i", items, counts),
        )
    ]
    manifest = Manifest(FORMAT, "SiBraR", args.size, user_spec, item_spec, index=args.index)
    write(Content(manifest, *contents, histories, weights), folder)

    text = pa.FixedSizeListArray.from_arrays(
        pa.array(random.normal(size=args.encoded * TEXT).astype(np.float32)), TEXT
    )
    tags = [[f"t{n}" for n in row] for row in random.integers(1, N_TAGS, size=(args.encoded, 3))]
    ids = [f"n{n}" for n in range(args.encoded)]
    pq.write_table(
        pa.table({"item_id": ids, "tags": tags, "text": text}), folder.with_suffix(".items.parquet")
    )


def clustered(random: np.random.Generator, centres: np.ndarray, n: int) -> np.ndarray:
    """Draw embeddings around common centres."""
    own = centres[random.integers(len(centres), size=n)]
    return (own + random.normal(size=own.shape)).astype(np.float32)


def start(folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Load the model, and recommend to one user.

    The packages and what they load on first use are a fixed cost, which a model of five items shows before.
    """
    from recbole_sibrar.serving.bundle.writing import write
    from recbole_sibrar.serving.example import example_content
    from recbole_sibrar.serving.recommender import Recommender

    imported = megabytes()
    with TemporaryDirectory() as home:
        write(example_content(), Path(home) / "small.sibrar")
        small = Recommender.load(Path(home) / "small.sibrar")
        small.recommend(["ann"], k=2)
    fixed = megabytes()

    begin = time.perf_counter()
    model = Recommender.load(folder)
    seconds = time.perf_counter() - begin
    model.recommend(["u0"], k=K)
    added = megabytes() - fixed
    stored = (args.items + args.users) * args.size * 4 / 1e6
    histories = model._state.entities.content.histories
    return [
        ["s to load", f"{seconds:.2f}"],
        ["MB of embeddings", f"{stored:.0f}"],
        ["MB of histories", f"{histories.items.nbytes / 1e6:.0f}"],
        ["MB of memory added by the model", f"{added:.0f}"],
        ["times the embeddings", f"{added / stored:.2f}"],
        ["MB added at the peak of loading", f"{common.peak_megabytes() - fixed:.0f}"],
        ["MB of the packages", f"{imported:.0f}"],
        ["MB that they load with the first model", f"{fixed - imported:.0f}"],
    ]


def megabytes() -> float:
    """Memory of this process at this moment, mapped files included."""
    return psutil.Process().memory_info().rss / 1e6


def single(folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Recommend to one user after the other; with an index, beside the exact result."""
    from recbole_sibrar.serving.catalogue import Catalogue
    from recbole_sibrar.serving.recommender import Recommender

    model = Recommender.load(folder)
    users = [f"u{n % args.users}" for n in range(args.requests)]
    model.recommend(users[:1], k=K)
    times = []
    processor = time.process_time()
    for user in users:
        begin = time.perf_counter()
        model.recommend([user], k=K)
        times.append(1000 * (time.perf_counter() - begin))

    processor = time.process_time() - processor

    rows = [
        ["ms of processor time a request", f"{1000 * processor / len(users):.2f}"],
        ["ms a request, median", f"{statistics.median(times):.2f}"],
        ["ms a request, 99 % at most", f"{np.quantile(times, 0.99):.2f}"],
        ["requests a second, one thread", f"{1000 / statistics.mean(times):.0f}"],
    ]
    if args.index:
        state = model._state
        exact = Catalogue.of(state.catalogue.base)
        few = users[: min(200, args.users)]
        seen = [state.seen(int(user[1:])) for user in few]
        best = exact.rank(state.users.values[: len(few)], K, seen).numbers
        # one user at a time: for many at once the search is exact
        found = [set(model.recommend([user], k=K)["item"]) for user in few]
        shares = [
            len({f"i{n}" for n in row} & one) / K for row, one in zip(best, found, strict=True)
        ]
        rows.append([f"recall@{K} of the exact result", f"{np.mean(shares):.3f}"])
    return rows


def everybody(folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Recommend to all users, into a file."""
    from recbole_sibrar.serving.batch.jobs import recommend_file
    from recbole_sibrar.serving.batch.shards import ShardOptions
    from recbole_sibrar.serving.recommender import Recommender

    model = Recommender.load(folder)
    before = common.peak_megabytes()
    begin = time.perf_counter()
    recommend_file(
        model, None, folder.with_suffix(".recs.parquet"), ShardOptions(K), progress=False
    )
    seconds = time.perf_counter() - begin
    return [
        ["s for all users", f"{seconds:.1f}"],
        ["users a second", f"{args.users / seconds:.0f}"],
        ["MB of memory added", f"{common.peak_megabytes() - before:.0f}"],
    ]


def encode(folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Encode items of a Parquet file."""
    from recbole_sibrar.serving.batch.jobs import encode_file
    from recbole_sibrar.serving.recommender import Recommender

    model = Recommender.load(folder)
    begin, processor = time.perf_counter(), time.process_time()
    items = folder.with_suffix(".items.parquet")
    encode_file(model, "item", items, folder.with_suffix(".vectors.parquet"), progress=False)
    seconds, processor = time.perf_counter() - begin, time.process_time() - processor
    return [
        ["items a second", f"{args.encoded / seconds:.0f}"],
        ["items a second of processor time", f"{args.encoded / processor:.0f}"],
    ]


PARTS = {"start": start, "single": single, "all": everybody, "encode": encode}

if __name__ == "__main__":
    main()
