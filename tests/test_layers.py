"""Import order and sizes of the rooms of docs/architecture.md."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FOLDERS = {
    "recbole_sibrar": ROOT / "recbole_sibrar",
    "recbole_sibrar.dataset_prep": ROOT / "dataset_prep",
}
"""Package -> its folder, as in setup.py."""

MAX_LINES = 400
MAX_FILES = 15


@dataclass(frozen=True)
class Room:
    """Modules that belong together."""

    modules: tuple[str, ...]
    """Modules and packages under ``recbole_sibrar``. The longest fitting name decides."""
    knows: tuple[str, ...] | None = None
    """Rooms it may import besides the ground floor and itself; None for all rooms above it in the table."""


ROOMS = {
    "ground floor": Room(("errors", "files", "names", "protocols"), ()),
    "parallel": Room(("parallel",), ()),
    "modality": Room(("data.modality",), ()),
    "atomic": Room(("data.atomic",), ()),
    "dataset_prep": Room(("dataset_prep",), ("atomic",)),
    "scaling": Room(("data.record.scaling",), ()),
    "config": Room(("config",), ("modality",)),
    "data": Room(("data",), ("parallel", "modality", "atomic", "scaling", "config")),
    "checkpoint loading": Room(("checkpoint_loading",), ("parallel", "data")),
    "model": Room(("model",), ("parallel", "modality", "config")),
    "serving": Room(("serving",), ("modality", "scaling", "config", "model")),
    "evaluator": Room(
        ("evaluator",), ("parallel", "modality", "atomic", "config", "data", "model")
    ),
    "plotting": Room(("plotting",), ()),
    "studies": Room(("studies",)),
    "trainer": Room(("trainer",)),
    "plugin": Room(("plugin",)),
    "quick_start": Room(("quick_start",)),
    "report": Room(("report",)),
    "cli": Room(("cli", "__main__")),
}
"""All rooms, each below the rooms it may import."""

GROUND = "ground floor"
FACE = "recbole_sibrar"

EXCEPTIONS = {
    (
        "recbole_sibrar.dataset_prep.__main__",
        "cli",
    ): "the old form of a command: python -m recbole_sibrar.dataset_prep",
    (
        "recbole_sibrar.quick_start.group.single_run",
        FACE,
    ): "registers the plugin in the process of a run",
    (
        "recbole_sibrar.quick_start.hyper.objective",
        FACE,
    ): "registers the plugin in the process of a trial",
}
"""Module and a room or package it may import in spite of the table -> the reason."""


@cache
def modules() -> dict[str, Path]:
    """Name -> file of every module."""
    found = {}
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *parts))
            found[name.removesuffix(".__init__")] = file
    return found


def room_of(module: str) -> str | None:
    """Room of a module; None for the package itself and for modules missing from the table."""
    name = module.removeprefix(FACE).lstrip(".")
    fitting = {
        start: room
        for room, content in ROOMS.items()
        for start in content.modules
        if f"{name}.".startswith(f"{start}.")
    }
    return fitting[max(fitting, key=len)] if fitting else None


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and name of each import of our modules, also inside functions and for type checkers."""
    file = modules()[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]

    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name)
                for alias in node.names
                if f"{alias.name}.".startswith(f"{FACE}.")
            )

        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join((*parents, *filter(None, [origin])))
            if not f"{origin}.".startswith(f"{FACE}."):
                continue
            # modules, or names that one module defines
            names = [f"{origin}.{alias.name}" for alias in node.names]
            yield from sorted(
                {(node.lineno, name if name in modules() else origin) for name in names}
            )


def allowed_rooms(room: str) -> set[str]:
    """Rooms that a room may import."""
    knows = ROOMS[room].knows
    above = list(ROOMS)[: list(ROOMS).index(room)]
    return {GROUND, room, *(above if knows is None else knows)}


def forbidden(module: str) -> Iterator[tuple[str, str]]:
    """Rooms imported against the order, each with a line for the message."""
    room = room_of(module)
    allowed = allowed_rooms(room) if room else set()
    for line, imported in imports(module):
        other = room_of(imported) or imported
        if other not in allowed:
            file = modules()[module].relative_to(ROOT)
            yield other, f"{file}:{line}: {room} may not import {imported} ({other})"


def assert_none(faults: Iterable[str]) -> None:
    """Fail with a line for each fault."""
    lines = list(faults)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def test_every_module_has_a_room() -> None:
    assert_none(name for name in modules() if name != FACE and room_of(name) is None)


def test_rooms_know_only_rooms_above() -> None:
    for name in ROOMS:
        assert set(ROOMS[name].knows or ()) <= set(list(ROOMS)[: list(ROOMS).index(name)]), name


@pytest.mark.parametrize("room", ROOMS)
def test_import_order(room: str) -> None:
    own = [name for name in modules() if room_of(name) == room]
    assert_none(
        line for name in own for other, line in forbidden(name) if (name, other) not in EXCEPTIONS
    )


def test_exceptions_are_needed() -> None:
    needed = {(name, other) for name in modules() for other, _ in forbidden(name)}
    assert_none(map(str, EXCEPTIONS.keys() - needed))


def test_length_of_files() -> None:
    tests = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    lengths = {
        file: len(file.read_text(encoding="utf-8").splitlines())
        for file in [*modules().values(), *tests]
    }
    assert_none(
        f"{file.relative_to(ROOT)}: {n} lines" for file, n in lengths.items() if n > MAX_LINES
    )


def test_files_in_folders() -> None:
    files = [*modules().values(), *(ROOT / "tests").rglob("*.py")]
    counts = Counter(file.parent.relative_to(ROOT) for file in files)
    assert_none(f"{folder}: {n} files" for folder, n in counts.items() if n > MAX_FILES)


def test_packages_list_their_names() -> None:
    packages = [file for file in modules().values() if file.name == "__init__.py"]
    assert_none(
        f"{file.relative_to(ROOT)} has no __all__" for file in packages if not _defines_all(file)
    )


def _defines_all(file: Path) -> bool:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return True
    return False
