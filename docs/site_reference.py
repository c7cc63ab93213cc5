"""Pages of the reference: one for each module, with the docstrings of its public names.

A package shows the names that it defines, and links those that it passes on from its modules. The modules are found
and read as files, so that nothing has to be imported to list them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES = {
    "recbole_sibrar": ROOT / "recbole_sibrar",
    "recbole_sibrar.dataset_prep": ROOT / "dataset_prep",
}
"""Package -> its folder, as in setup.py."""


def pages() -> dict[str, str]:
    """Make the page of every module, in reStructuredText, by the name of the module."""
    found: dict[str, str] = {}
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = (package, *file.relative_to(folder).with_suffix("").parts)
            if not any(part.startswith("_") and part != "__init__" for part in parts):
                found[".".join(part for part in parts if part != "__init__")] = ""

    for module in found:
        found[module] = _page(
            module, sorted(name for name in found if name.rpartition(".")[0] == module)
        )
    return found


def file_of(module: str) -> Path:
    """Return the file of a module."""
    package = max((name for name in PACKAGES if f"{module}.".startswith(f"{name}.")), key=len)
    inside = [part for part in module.removeprefix(package).split(".") if part]
    path = PACKAGES[package].joinpath(*inside)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _page(module: str, modules: list[str]) -> str:
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    imported = dict(_imports(tree))
    names = _listed(tree)
    own = [name for name in names if name not in imported and f"{module}.{name}" not in modules]
    passed_on = sorted(imported[name] for name in names if name in imported)

    title = module.removeprefix("recbole_sibrar.")
    lines = [title, "=" * len(title), "", *_setup(module), f".. automodule:: {module}"]
    if own:
        lines.append(f"   :members: {', '.join(own)}")
    if passed_on:
        lines += ["", "Public names, from the modules of the package:", ""]
        lines += [f"- :py:obj:`{name} <{name}>`" for name in passed_on]
    if modules:
        lines += ["", ".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in modules)]
    return "\n".join(lines) + "\n"


def _setup(module: str) -> list[str]:
    """Give the examples of a module its names, as ``pytest --doctest-modules`` does."""
    code = f"globals().update(vars(__import__({module!r}, fromlist=['*'])))"
    return [".. testsetup:: *", "", f"   {code}", ""]


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that a module imports from others of ours, with the full names of what they mean."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(
            "recbole_sibrar"
        ):
            for alias in statement.names:
                yield alias.asname or alias.name, f"{statement.module}.{alias.name}"


def _listed(tree: ast.Module) -> list[str]:
    """Names in ``__all__``; without one, the public names that the module defines."""
    for statement in tree.body:
        target = (
            statement.targets[0]
            if isinstance(statement, ast.Assign)
            else getattr(statement, "target", None)
        )
        if isinstance(target, ast.Name) and target.id == "__all__":
            return [name for name in ast.literal_eval(statement.value) if not name.startswith("_")]

    return [
        name for statement in tree.body for name in _defined(statement) if not name.startswith("_")
    ]


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []
