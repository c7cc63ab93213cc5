"""Kill a server at random moments while items are put and removed, and count what it has lost.

    python benchmarks/server_kills.py --kills 20 --workers 2

Two threads write and two read. A change counts as acknowledged once its answer is there; after each kill the server has
to start with all acknowledged changes. Without a loss the last line is ``lost: 0``, and the exit status 0.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from recbole_sibrar.serving.bundle.writing import write
from recbole_sibrar.serving.example import example_content

BATCH = 200
"""Items to look up in a request."""

KILLED = (ConnectionError, http.client.HTTPException, OSError)
"""Failures of a request to a server that is killed."""


def main() -> int:
    """Kill, start again, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with TemporaryDirectory() as home:
        outcome = run(Path(home), args.kills, args.workers, args.seed)

    print(f"kills: {args.kills}, workers: {args.workers}")
    print(
        f"acknowledged: {outcome.n_put} items put, {outcome.n_removed} removed, {outcome.n_read} requests answered"
    )
    for problem in outcome.problems[:20]:
        print(problem)
    print(f"lost: {len(outcome.problems)}")
    return 1 if outcome.problems else 0


@dataclass
class Outcome:
    """Acknowledged changes, and what was wrong after a kill."""

    is_there: dict[str, bool] = field(default_factory=dict)
    """Item -> True if it was put, False if it was removed; items with an unanswered change are left out."""
    n_put: int = 0
    n_removed: int = 0
    n_read: int = 0
    problems: list[str] = field(default_factory=list)


def run(home: Path, kills: int, workers: int, seed: int) -> Outcome:
    """Kill a server of the example model several times.

    Args:
        home: Folder for the model, the store and the log.
        kills: Number of kills.
        workers: Processes of the server.
        seed: Seed of the moments.
    """
    folder = home / "films.sibrar"
    write(example_content(), folder)
    token = secrets.token_hex(16)
    (home / "token").write_text(token, encoding="utf-8")

    moments = random.Random(seed)
    outcome = Outcome()
    for kill in range(kills):
        with serving(home, workers) as (process, port):
            check(port, outcome)
            killer = threading.Thread(
                target=kill_later, args=(process, outcome, moments.uniform(0.05, 0.8))
            )
            killer.start()
            with ThreadPoolExecutor(4) as pool:
                writers = [
                    pool.submit(change, port, token, f"film{kill}-{n}", outcome) for n in range(2)
                ]
                readers = [pool.submit(read, port, outcome) for _ in range(2)]
            killer.join()
            for thread in (*writers, *readers):
                thread.result()
        check_store(home, outcome)
    with serving(home, workers) as (_, port):
        check(port, outcome)
    return outcome


@contextmanager
def serving(home: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the server in a session of its own; its process and port."""
    log = home / "log"
    program = "import sys; from recbole_sibrar.cli import main; sys.exit(main())"
    options = ["--port", "0", "--token-file", str(home / "token"), "--workers", str(workers)]
    command = [sys.executable, "-c", program, "serve", str(home / "films.sibrar"), *options]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        yield process, port_of(log, process, workers)
    finally:
        kill_all(process)
        process.wait(60)


def kill_later(process: subprocess.Popen[bytes], outcome: Outcome, seconds: float) -> None:
    """Kill the server some time after it has acknowledged a few changes, which can take long on a busy machine."""
    enough = outcome.n_put + 9
    end = time.monotonic() + 60
    while outcome.n_put < enough and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(seconds)
    kill_all(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill the server and its workers at once, as a failing machine does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def port_of(log: Path, process: subprocess.Popen[bytes], workers: int) -> int:
    """Wait until all workers answer."""
    while process.poll() is None:
        text = log.read_text("utf-8")
        found = re.search(r"serving at \S+:(\d+)", text)
        if found and text.count("startup complete") >= workers:
            return int(found.group(1))
        time.sleep(0.05)
    raise RuntimeError(f"the server does not start: {log.read_text('utf-8')}")


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object = None,
    token: str = "",
) -> object:
    """Send a request; its answer, which has to be 200."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()}")
    return json.loads(content)


def change(port: int, token: str, start: str, outcome: Outcome) -> None:
    """Put items and remove some, until the server is killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    pending: list[str] = []
    try:
        while True:
            pending = [f"{start}-{number + n}" for n in range(3)]
            items = [
                {"item_id": name, "year": 1950 + number % 70, "genre": ["scifi"]}
                for name in pending
            ]
            ask(connection, "PUT", "/items", {"items": items}, token)
            outcome.is_there.update(dict.fromkeys(pending, True))
            outcome.n_put += len(pending)

            pending = [f"{start}-{number}"]
            outcome.is_there.pop(pending[0])
            ask(connection, "DELETE", f"/items?item={pending[0]}", token=token)
            outcome.is_there[pending[0]] = False
            outcome.n_removed += 1
            number += 3
    except KILLED:
        return


def read(port: int, outcome: Outcome) -> None:
    """Ask for recommendations, until the server is killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        while True:
            ask(connection, "POST", "/recommend", {"users": ["ann", "bob"], "k": 5})
            outcome.n_read += 1
    except KILLED:
        return


def check(port: int, outcome: Outcome) -> None:
    """Compare what the server knows with what it has acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ready = ask(connection, "GET", "/ready")
    if ready["unreadable"]:  # type: ignore[index]
        outcome.problems.append(f"unreadable items: {ready['unreadable']}")  # type: ignore[index]

    names = list(outcome.is_there)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        # a filter by ids takes unknown ones too, which candidates do not
        body = {"users": ["bob"], "k": BATCH, "filter": part, "exclude_seen": False}
        (one,) = ask(connection, "POST", "/recommend", body)["recommendations"]  # type: ignore[index]
        found = {item["item"] for item in one["items"]}
        for name in part:
            if (name in found) != outcome.is_there[name]:
                outcome.problems.append(
                    f"{name}: {'lost' if outcome.is_there[name] else 'came back'}"
                )


def check_store(home: Path, outcome: Outcome) -> None:
    """Let SQLite check its file."""
    connection = sqlite3.connect(home / "films.sibrar.items.sqlite")
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    if verdict != "ok":
        outcome.problems.append(f"store: {verdict}")


if __name__ == "__main__":
    sys.exit(main())
