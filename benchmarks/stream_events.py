"""Seconds and peak memory of converting listening events in the format of Music4All-Onion.

    python benchmarks/stream_events.py                        # 2 million events
    python benchmarks/stream_events.py --events 50000000      # a proof of bounded memory: 2.2 GB of text

The events are of the years 2005 to 2019, and each user has as many as in the real data set on average. The converter
runs in a process of its own, on all years unless ``--year`` is given; there are no features.
"""

from __future__ import annotations

import argparse
import bz2
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

N_TRACKS = 109_269
"""Tracks of Music4All-Onion."""

EVENTS_PER_USER = 252_984_396 // 119_140
"""Listening events of a user of Music4All-Onion, on average."""

ODD = 2_654_435_761
"""A factor that scatters numbers over 32 bits."""

EVENTS_AT_A_TIME = 1_000_000


def main() -> None:
    """Write events, convert them, and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument(
        "--events_per_pair", type=float, default=5.0, help="1 is the hard case: most distinct pairs"
    )
    parser.add_argument("--year", default="all")
    parser.add_argument("--k_core", default="5")
    parser.add_argument("--min_interactions", default="2")
    parser.add_argument("--bz2", action="store_true", help="compress the events")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary, "source"), Path(temporary, "target")
        source.mkdir()
        file = source / f"userid_trackid_timestamp.tsv{'.bz2' if args.bz2 else ''}"
        write_events(file, args.events, args.events_per_pair)
        size = file.stat().st_size
        command = [sys.executable, "-m", "recbole_sibrar.dataset_prep", "music4all-onion"]
        command += [f"--input_path={source}", f"--output_path={target}"]
        command += [
            f"--{name}={getattr(args, name)}" for name in ("year", "k_core", "min_interactions")
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        report = json.loads(
            (target / "music4all-onion" / "report.json").read_text(encoding="utf-8")
        )

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    pairs = next(
        step["interactions"] for step in report["steps"] if step["name"].startswith("pairs of")
    )

    print(f"{args.events:,} events ({size / 2**30:.2f} GiB), {pairs:,} distinct pairs")
    print(f"{seconds:.1f} s, {args.events / seconds:,.0f} events/s, peak memory {peak:.2f} GiB")


def write_events(path: Path, n_events: int, events_per_pair: float) -> None:
    """Write random events. A user has as many tracks to choose from as a user of the real data set has events.

    Args:
        path: The file, plain or ``.bz2``.
        n_events: Number of events.
        events_per_pair: How often a user listens to each of his or her tracks on average.
    """
    rng = np.random.default_rng(0)
    n_users = max(1, n_events // EVENTS_PER_USER)
    users = pa.array(np.arange(1, n_users + 1)).cast(pa.string())
    tracks = pa.array([f"{track * ODD % 2**32:016x}" for track in range(N_TRACKS)])
    first, last = (int(np.datetime64(f"{year}-01-01", "s").astype(int)) for year in (2005, 2020))
    opener: Callable[..., Any] = bz2.open if path.suffix == ".bz2" else open

    with (
        opener(path, "wb") as file,
        tqdm(total=n_events, desc="events", unit="event", disable=None) as bar,
    ):
        file.write(b"user_id\ttrack_id\ttimestamp\n")
        for done in range(0, n_events, EVENTS_AT_A_TIME):
            n = min(EVENTS_AT_A_TIME, n_events - done)
            user = rng.integers(0, n_users, n)
            place = rng.integers(0, max(1, int(EVENTS_PER_USER / events_per_pair)), n)
            # the same for the same user and place
            random = ((user * EVENTS_PER_USER + place) * ODD % 2**32) / 2**32
            columns = [
                users.take(pa.array(user)),
                tracks.take(pa.array((random**2 * N_TRACKS).astype(np.int64))),
                pc.strftime(
                    pa.array(rng.integers(first, last, n), pa.timestamp("s")), "%Y-%m-%d %H:%M:%S"
                ),
            ]
            lines = pc.binary_join_element_wise(*columns, "\t")
            file.write("\n".join(lines.to_pylist()).encode() + b"\n")
            bar.update(n)


if __name__ == "__main__":
    main()
