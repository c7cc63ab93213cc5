"""Start of the commands, and the time to the first batch beside RecBole's: ``python benchmarks/start_up.py``.

    python benchmarks/start_up.py --rounds 5

Each program runs in a process of its own, all of them in turn, for several rounds. A ratio is computed within a round,
and the median of the rounds is printed. A program that trains ends at its first loss.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import common

ENDS_AT_FIRST_BATCH = """
import os, sys
sys.argv = ["run_recbole"]
{imports}
from recbole.model.general_recommender.bpr import BPR
BPR.calculate_loss = lambda *_: os._exit(0)
{run}
"""

OURS = (
    "from recbole_sibrar.cli import run_recbole; run_recbole(['--model=BPR', '--dataset=ml-100k'])"
)
RECBOLES = (
    "from recbole.quick_start import run_recbole; run_recbole(model='BPR', dataset='ml-100k')"
)

COMMAND = "import sys; from recbole_sibrar.cli import {name}; sys.exit({name}(sys.argv[1:]))"

REFERENCE = "first batch of BPR, RecBole's script"
MISSPELT = "run_recbole with a misspelt option"
PROGRAMS: dict[str, list[str]] = {
    "an interpreter that does nothing": ["pass"],
    "run_recbole --help": [COMMAND.format(name="run_recbole"), "--help"],
    MISSPELT: [COMMAND.format(name="run_recbole"), "--modell=BPR"],
    "run_recbole_group --help": [COMMAND.format(name="run_recbole_group"), "--help"],
    "run_hyper --help": [COMMAND.format(name="run_hyper"), "--help"],
    "recbole-sibrar --help": [COMMAND.format(name="main"), "--help"],
    "recbole-sibrar prepare --help": [COMMAND.format(name="main"), "prepare", "--help"],
    "recbole-sibrar prepare generic --help": [
        COMMAND.format(name="main"),
        "prepare",
        "generic",
        "--help",
    ],
    "recbole-sibrar encode-text --help": [COMMAND.format(name="main"), "encode-text", "--help"],
    "recbole-sibrar encode-image --help": [COMMAND.format(name="main"), "encode-image", "--help"],
    REFERENCE: [ENDS_AT_FIRST_BATCH.format(imports="", run=RECBOLES)],
    "first batch of BPR, run_recbole": [
        ENDS_AT_FIRST_BATCH.format(imports="import recbole_sibrar", run=OURS)
    ],
}


def main() -> None:
    """Run every program in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    rounds = []

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            rounds.append({name: measure(name, folder, args.threads) for name in PROGRAMS})

    rows = []
    for name in PROGRAMS:
        wall, processor = (statistics.median(done[name][n] for done in rounds) for n in (0, 1))
        ratio = statistics.median(done[name][0] / done[REFERENCE][0] for done in rounds)
        rows.append([name, f"{wall:.2f}", f"{processor:.2f}", f"{ratio:.2f}"])

    print(common.machine(args.threads))
    print(common.table(["program", "s", "s of processor time", "times RecBole's script"], rows))


def measure(name: str, folder: str, threads: int) -> tuple[float, float]:
    """Run a program, and end with its last line where it fails.

    Returns:
        Seconds, and seconds of processor time.
    """
    command = [sys.executable, "-c", *PROGRAMS[name]]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != (2 if name == MISSPELT else 0):
        sys.exit(f"{name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
