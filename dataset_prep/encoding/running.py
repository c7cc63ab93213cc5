"""Run of the commands for encoding: check the options, encode, and write the vectors."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from recbole_sibrar.errors import refuse
from recbole_sibrar.files import locked

from ..messages import some
from .blocks import Task, VectorsFrom, encode, finish
from .environment import check_output, choose_device, notes_of, require


@dataclass(frozen=True)
class Work:
    """Entities to encode, and the function for it."""

    task: Task
    """The entities."""
    vectors_from: VectorsFrom
    """Yields their vectors."""
    without_content: Sequence[str] = field(default_factory=list)
    """Ids without anything to encode. They are no part of the task."""


@dataclass(frozen=True)
class Job:
    """Kind of content to encode."""

    packages: Sequence[str]
    """Needed packages."""
    extra: str
    """Extra of this package with them."""
    prepare: Callable[[argparse.Namespace, str], Work]
    """Reads the input and loads the model, given the options and the device."""
    left_out: str
    """End of the sentence on entities without a vector: ``{total} <left_out>``."""


def run(args: argparse.Namespace, job: Job) -> int:
    """Encode the input of a command and write the vectors.

    Args:
        args: Options of the command, and its name in ``command``.
        job: The kind of content.

    Returns:
        Exit status.

    Raises:
        DataError: The input, the model, the device or the output cannot be used.
        ConfigError: An option has a wrong value.
    """
    # Wrong options and outputs are refused before the model is loaded.
    require(job.packages, job.extra)
    if args.batch_size < 1:
        refuse("--batch_size", args.batch_size, "a positive integer")
    check_output(args.output)

    with locked(args.output, "--output"):
        _encode(args, job)
    return 0


def _encode(args: argparse.Namespace, job: Job) -> None:
    note = notes_of(args.command)
    work = job.prepare(args, choose_device(args.device))

    # float32 [n, d]
    vectors = encode(work.task, work.vectors_from, note)
    without_vector = finish(work.task, vectors)

    missing = [*work.without_content, *without_vector]
    n_vectors = len(work.task.ids) - len(without_vector)
    if missing:
        note(f"{some(missing)} of {n_vectors + len(missing)} {job.left_out}")
    note(f"written: {args.output}, {n_vectors} vectors of {vectors.shape[1]} numbers")
