"""A program's training steps in a process of its own, which runs and times them when it is asked to.

The program is a Python file with a function::

    def make_step(data: str, batch_size: int, threads: int, **options) -> Callable[[], object]

It returns the function of one training step, its next batch included. ``data`` is a folder of atomic files, and empty
for RecBole's ml-100k. ``batch_size`` is a number of positives. ``options`` are those of ``beside.py --options``.

A program with costs of each epoch has another function in its place::

    def make_steps(data, batch_size, threads, **options) -> Callable[[Iterable[None]], object]

It returns a function that trains an epoch of one step for each element, and takes the element before the step's batch.
What comes before the first element and after the last step is not counted.

This module imports the standard library alone, so that the program can have an interpreter and packages of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


class Stepper:
    """Process of a program.

    Args:
        program: File of the program.
        python: Its interpreter.
        arguments: Arguments of ``make_step``.
    """

    def __init__(self, program: Path, python: str, arguments: dict[str, Any]) -> None:
        self.program = program
        command = [python, __file__, str(program.resolve()), json.dumps(arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments["threads"])}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, steps: int) -> dict[str, Any]:
        """Run steps.

        Returns:
            ``wall`` and ``processor``: seconds of each step; ``peak MB``: memory of the process so far.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            sys.exit(
                f"{self.program}: the program ended with status {self.process.wait()}; its messages are above"
            )

        found: dict[str, Any] = json.loads(answer)
        return found

    def end(self) -> None:
        """End the process."""
        self.process.communicate()


def peak_megabytes() -> float:
    """Read the peak memory of this process; ``getrusage`` would count that of its parent before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Make the step of a program, then read numbers of steps from the standard input and answer each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the program prints is no answer

    file, arguments = sys.argv[1], json.loads(sys.argv[2])
    sys.argv = [file]
    sys.path[0] = str(Path(file).parent)
    spec = importlib.util.spec_from_file_location("program", file)
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    run = steps_of(program, arguments)

    for line in sys.stdin:
        found: dict[str, Any] = {"wall": [], "processor": []}
        run(timed(int(line), found))
        found["peak MB"] = peak_megabytes()
        print(json.dumps(found), file=answers, flush=True)


def steps_of(program: Any, arguments: dict[str, Any]) -> Callable[[Iterable[None]], object]:
    """Make the function that runs a step for each element."""
    if hasattr(program, "make_steps"):
        run: Callable[[Iterable[None]], object] = program.make_steps(**arguments)
        return run

    step = program.make_step(**arguments)
    return lambda elements: [step() for _ in elements]


def timed(n: int, found: dict[str, Any]) -> Iterator[None]:
    """Yield before each of ``n`` steps, and note the seconds from there to the next request."""
    for _ in range(n):
        wall, processor = time.perf_counter(), time.process_time()
        yield
        found["wall"].append(time.perf_counter() - wall)
        found["processor"].append(time.process_time() - processor)


if __name__ == "__main__":
    main()
