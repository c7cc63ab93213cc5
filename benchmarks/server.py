"""Speed of the server, asked by this process over the loopback address: ``python benchmarks/server.py``.

    python benchmarks/server.py --items 100000 --workers 2 --connections 4

The model is that of ``serving.py``. A first part asks for one user after the other on one connection; a second part
asks on several connections at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import common
import numpy as np
import psutil
import pyarrow.parquet as pq
import serving
from safetensors import safe_open


def main() -> None:
    """Make a model, serve it, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=64, help="length of the embeddings")
    parser.add_argument("--requests", type=int, default=2000, help="requests of each part")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4, help="connections of the second part")
    parser.add_argument("--index", help="approximate search: hnsw or ivf (default: exact)")
    parser.add_argument("--folder", type=Path, help="keeps the model; else it is temporary")
    parser.set_defaults(encoded=1)
    args = parser.parse_args()

    with TemporaryDirectory() as home:
        folder = args.folder or Path(home) / "random.sibrar"
        if not folder.exists():
            serving.make_model(folder, args)
        rows = measure(folder, args)

    print(common.machine(int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count()))
    print(
        f"{args.items:,} items, {args.users:,} users, {args.size} dimensions, search {args.index or 'exact'}"
    )
    print(common.table(["part", "measure", "value"], rows))


def measure(folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Serve a model and ask for recommendations."""
    log = folder.with_name("log")
    program = "import sys; from recbole_sibrar.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        program,
        "serve",
        str(folder),
        "--port",
        "0",
        "--workers",
        str(args.workers),
    ]
    with log.open("w", encoding="utf-8") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        port = port_of(log, process)
        seconds = time.perf_counter() - started
        found = recall(port, folder) if args.index else None
        server = psutil.Process(process.pid)
        started_with = processor_seconds(server)
        ask(port, args.users, 50)
        before = processor_seconds(server)
        single = ask(port, args.users, args.requests)
        work = (processor_seconds(server) - before) / args.requests

        begun = time.perf_counter()
        each = args.requests // args.connections
        with ThreadPoolExecutor(args.connections) as pool:
            parts = list(pool.map(lambda _: ask(port, args.users, each), range(args.connections)))
        rate = each * args.connections / (time.perf_counter() - begun)
        memory = (
            sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 2**20
        )
    finally:
        process.terminate()
        process.wait(60)

    busy = f"{args.connections} connections, {args.workers} workers"
    rows = [
        ["start", "to the first answer", f"{seconds:.1f} s"],
        ["start", "processor time", f"{started_with:.1f} s"],
        ["start", "memory of all processes", f"{memory:.0f} MB"],
    ]
    rows += [["one connection", name, value] for name, value in percentiles(single)]
    rows += [["one connection", "processor time of the server a request", f"{1000 * work:.2f} ms"]]
    rows += [[busy, name, value] for name, value in percentiles(np.concatenate(parts))]
    rows += [[busy, "requests/s", f"{rate:.0f}"]]
    return (
        rows
        if found is None
        else [*rows, ["index", f"recall@{serving.K} of the exact result", f"{found:.3f}"]]
    )


def recall(port: int, folder: Path, n: int = 100) -> float:
    """Compare the answers of the server with a sort of all scores.

    Args:
        port: Port of the server.
        folder: Folder of the model.
        n: Number of users.
    """
    with safe_open(folder / "embeddings.safetensors", framework="np") as stream:
        items, users = stream.get_tensor("item"), stream.get_tensor("user")[:n]
    histories = (
        pq.read_table(folder / "users.parquet", columns=["history"])
        .column("history")
        .slice(0, n)
        .to_pylist()
    )

    connection = http.client.HTTPConnection("127.0.0.1", port)
    shares = []
    for user, (vector, history) in enumerate(zip(users, histories, strict=True)):
        scores = items @ vector
        scores[history] = -np.inf
        best = {f"i{number}" for number in np.argpartition(-scores, serving.K)[: serving.K]}
        body = json.dumps({"users": [f"u{user}"], "k": serving.K})
        connection.request("POST", "/recommend", body, {"Content-Type": "application/json"})
        (answer,) = json.loads(connection.getresponse().read())["recommendations"]
        shares.append(len(best & {item["item"] for item in answer["items"]}) / serving.K)
    return float(np.mean(shares))


def processor_seconds(server: psutil.Process) -> float:
    """Sum the processor time of the server and its workers."""
    times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def port_of(log: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait for the first answer."""
    while process.poll() is None:
        found = re.search(r"serving at \S+:(\d+)", log.read_text("utf-8"))
        if found and "startup complete" in log.read_text("utf-8"):
            return int(found.group(1))
        time.sleep(0.05)
    sys.exit(log.read_text("utf-8"))


def ask(port: int, n_users: int, n: int) -> np.ndarray:
    """Ask for single users on one connection; seconds of each request."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    random = np.random.default_rng()
    seconds = np.zeros(n)
    for place, user in enumerate(random.integers(n_users, size=n)):
        body = json.dumps({"users": [f"u{user}"], "k": serving.K})
        started = time.perf_counter()
        connection.request("POST", "/recommend", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        seconds[place] = time.perf_counter() - started
        if answer.status != 200:
            sys.exit(content.decode())
    return seconds


def percentiles(seconds: np.ndarray) -> list[tuple[str, str]]:
    """Write p50 and p99."""
    return [(f"p{which}", f"{1000 * np.percentile(seconds, which):.1f} ms") for which in (50, 99)]


if __name__ == "__main__":
    main()
