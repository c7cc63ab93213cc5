"""RecBole without the plugin, on any set of libraries: a script that begins with :data:`ALONE`.

RecBole alone does not run with NumPy 2. Tests that compare the plugin with it use the repairs for newer libraries, and
``tests/plugin/test_libraries.py`` computes by hand what these give.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

ALONE = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')\n"
"""First line of a script."""


def repair() -> None:
    """Apply the repairs for the installed libraries without importing the plugin."""
    package = importlib.util.find_spec("recbole_sibrar")
    assert package is not None
    assert package.origin is not None

    file = Path(package.origin).parent / "plugin" / "libraries.py"
    spec = importlib.util.spec_from_file_location("library_repairs", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    for name in module.__all__:
        kind, _, fault = name.partition("_")
        if kind == "repair" and getattr(module, f"needs_{fault}")():
            getattr(module, name)()


if __name__ == "__main__":
    repair()
