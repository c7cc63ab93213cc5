"""Repairs of RecBole 1.2.1 for today's packages.

Each repair is an entry of :data:`REPAIRS`. It is applied once, and skipped where RecBole does not
need it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import recbole.quick_start
import torch
from recbole.evaluator import Collector
from recbole.evaluator.collector import DataStruct
from recbole.trainer import Trainer
from recbole.trainer.trainer import AbstractTrainer

from recbole_sibrar.checkpoint_loading import identify, load_checkpoint, load_trusted
from recbole_sibrar.data.loading import download
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin import libraries
from recbole_sibrar.plugin.extend import rebind
from recbole_sibrar.trainer.training_state import training_state


@dataclass(frozen=True)
class Repair:
    """One repair of RecBole."""

    name: str
    """Function of RecBole after the repair."""
    issue: str
    """Issues of RUCAIBox/RecBole that report what is broken; empty without one."""
    needed: Callable[[], bool]
    """Test for the fault in the installed RecBole."""
    apply: Callable[[], None]
    """The repair."""


_applied: dict[str, bool] = {}


def apply_repairs() -> dict[str, bool]:
    """Apply every needed repair once.

    Returns:
        Name of the repair -> whether it was needed and is now active.
    """
    for repair in REPAIRS:
        if repair.name not in _applied:
            _applied[repair.name] = repair.needed()
            if _applied[repair.name]:
                repair.apply()
    return dict(_applied)


def _collector_needs_repair() -> bool:
    """Tell whether collecting a number or a counter for a metric fails (#2131, #2191, #2194)."""
    collector = object.__new__(Collector)
    collector.data_struct = DataStruct()
    collector.data_struct.set("data.num_items", 1)
    try:
        collector.get_data_struct()
    except AttributeError:
        return True
    return False


def _repair_collector() -> None:
    """Let RecBole's metrics of coverage and popularity run (#2131, #2191, #2194).

    They are ItemCoverage, GiniIndex, AveragePopularity, TailPercentage and ShannonEntropy.
    """
    original = Collector.get_data_struct

    @functools.wraps(original)
    def get_data_struct(self: Collector) -> DataStruct:
        # RecBole calls .cpu() on every collected value, also on numbers and counters
        collected = self.data_struct._data_dict
        plain: dict[str, Any] = {}
        for key, value in list(collected.items()):
            if not isinstance(value, torch.Tensor):
                plain[key] = collected.pop(key)

        struct = original(self)
        for key, value in plain.items():
            collected[key] = value
            struct.set(key, value)
        return struct

    Collector.get_data_struct = get_data_struct


def _checkpoints_need_repair() -> bool:
    """Tell whether torch >= 2.6 refuses RecBole's checkpoints (#2212)."""
    default = inspect.signature(torch.load).parameters["weights_only"].default
    return default is not False and "weights_only" not in inspect.getsource(Trainer.evaluate)


def _repair_checkpoints() -> None:
    """Load checkpoints on torch >= 2.6 (#2212) without giving up its protection.

    Since 2.6 torch refuses files that hold more than tensors, and a checkpoint holds RecBole's
    ``Config``. While RecBole's own functions run, :func:`load_checkpoint` stands in for
    ``torch.load``: it knows the classes of a RecBole checkpoint and no others. torch's default is
    not touched for anyone else.
    """
    for owner, name in ((Trainer, "evaluate"), (Trainer, "resume_checkpoint")):
        setattr(owner, name, _loading(getattr(owner, name)))
    original = recbole.quick_start.load_data_and_model
    rebind(original, _loading(original))


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function with :func:`load_checkpoint` in the place of ``torch.load``.

    A method of a trainer loads the files of this trainer without checks.
    """

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        state = None
        if args and isinstance(args[0], AbstractTrainer):
            state = training_state(args[0])
        written = state.written_checkpoint if state else None

        def load(file: Any, map_location: Any = None, **options: Any) -> Any:
            # With options it is not RecBole's call: pickle loads tensors that another process has
            # sent.
            if options:
                return default(file, map_location=map_location, **options)

            config = getattr(args[0], "config", None) if args else None
            own = written is not None and written == identify(file)
            content = file
            if config is not None:
                content = broadcast_checkpoint(config, file)
                # rank 0 has written the file, and it alone may see it
                if content is not file:
                    own = processes.broadcast(config, own)

            if own:
                return load_trusted(content, map_location)
            checkpoint = load_checkpoint(content, map_location)
            if state is not None and state.check_checkpoint is not None:
                state.check_checkpoint(str(content), checkpoint)
            return checkpoint

        default = torch.load
        torch.load = load  # type: ignore[assignment]
        try:
            return original(*args, **kwargs)
        finally:
            torch.load = default

    return function


def broadcast_checkpoint(config: Any, file: str) -> Any:
    """Return a checkpoint for ``torch.load``.

    Of several processes, rank 0 reads it and sends its bytes.

    Args:
        config: RecBole's ``Config`` of the training.
        file: Path of the checkpoint.

    Raises:
        CheckpointError: It cannot be read.
    """
    if processes.count(config) == 1:
        return file
    try:
        content = Path(file).read_bytes() if processes.is_main(config) else None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from None
    content = processes.broadcast(config, content)
    assert content is not None
    return _Content(content, file)


class _Content(BytesIO):
    """Bytes of a file, with its path as their name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.file = name

    def __str__(self) -> str:
        return self.file


REPAIRS = (
    Repair(
        "beyond-accuracy metrics of RecBole run",
        "#2131, #2191, #2194",
        _collector_needs_repair,
        _repair_collector,
    ),
    Repair(
        "checkpoints load on torch >= 2.6", "#2212", _checkpoints_need_repair, _repair_checkpoints
    ),
    Repair(
        "a single process downloads data sets",
        "#1989, #2050",
        download.needs_repair,
        download.repair,
    ),
    Repair("configurations on NumPy 2", "", libraries.needs_names, libraries.repair_names),
    Repair(
        "plain numbers as results",
        "",
        libraries.needs_plain_results,
        libraries.repair_plain_results,
    ),
    Repair("sequences on pandas 3", "", libraries.needs_lengths, libraries.repair_lengths),
    Repair("missing values on pandas 3", "", libraries.needs_fill, libraries.repair_fill),
    Repair(
        "graph models on SciPy >= 1.13",
        "#2034",
        libraries.needs_matrices,
        libraries.repair_matrices,
    ),
)
"""All repairs, in the order in which they are applied."""
